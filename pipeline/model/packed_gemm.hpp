#pragma once
#include <cstdint>
#include <vector>

namespace cmc::model {

// A weight matrix [outputs, inputs] copied into panels of 16 outputs, inputs running slowest inside a panel, so that
// one aligned load brings the weights of 16 outputs for one input. Weights that bfloat16 holds exactly (as most
// published ones) are kept in two bytes each and widened in registers: the same float32 products from half the memory
// traffic.
class PackedMatrix {
 public:
  // Whether this processor has the instructions (AVX2 and FMA); pack and multiply need them.
  static bool supported();
  // weights [outputs, inputs] float32, rows contiguous.
  PackedMatrix(const float* weights, int64_t outputs, int64_t inputs);

  int64_t outputs() const { return outputs_; }
  int64_t inputs() const { return inputs_; }
  int64_t panels() const { return (outputs_ + panel_width - 1) / panel_width; }

  // y[r, o] = sum over i of x[r, i] * w[o, i] for the outputs of panels [first, last); x [rows, inputs] and
  // y [rows, outputs] float32, contiguous. Each product is summed in the order of the inputs, so a row's result does
  // not depend on the other rows of the batch.
  void multiply(const float* x, int64_t rows, float* y, int64_t first, int64_t last) const;

  static constexpr int64_t panel_width = 16;

 private:
  int64_t outputs_, inputs_;
  bool narrow_ = false;          // bfloat16 pairs in `words_`, else float32 bits
  std::vector<uint32_t> words_;  // [panels, inputs, 8 or 16]
};

}  // namespace cmc::model
