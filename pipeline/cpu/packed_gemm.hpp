#pragma once
#include <cstdint>
#include <vector>

#include "pipeline/cpu/instruction_set.hpp"

namespace cmc::cpu {

// A weight matrix [outputs, inputs] copied into strips of 16 outputs, inputs running slowest inside a strip, so that
// one aligned load brings the weights of 16 outputs. Weights that bfloat16 holds exactly (as most published ones) are
// kept in two bytes each, two inputs of an output in a word, and widened in registers: the same float32 products from
// half the memory traffic.
class PackedMatrix {
 public:
  // weights [outputs, inputs] float32, rows contiguous, which pack() copies. multiply() needs a `set` that is not none.
  PackedMatrix(const float* weights, int64_t outputs, int64_t inputs, InstructionSet set = instruction_set());
  // Copies the outputs of strips [first, last); each strip once, on any thread.
  void pack(const float* weights, int64_t first, int64_t last);

  int64_t outputs() const { return outputs_; }
  int64_t inputs() const { return inputs_; }
  int64_t strips() const { return (outputs_ + strip_width - 1) / strip_width; }

  // y[r, o] = sum over i of x[r, i] * w[o, i] for the outputs of strips [first, last); x [rows, inputs] and
  // y [rows, outputs] float32, contiguous. Each product is added in the order of the inputs, rounded once, so a row's
  // bits depend on neither the other rows of the batch nor the instruction set nor who computes which strips.
  void multiply(const float* x, int64_t rows, float* y, int64_t first, int64_t last) const;

  // y[16] = the same of one row for the outputs of one strip; 0 behind the last output.
  void multiply_strip(const float* x, int64_t strip, float* y) const;
  // lengths[o] = the Euclidean length of output o's weights, for the outputs of strips [first, last).
  void lengths(int64_t first, int64_t last, float* lengths) const;

  static constexpr int64_t strip_width = 16;  // outputs: what threads share out

 private:
  struct Part;
  void multiply_part(const Part& part) const;

  int64_t outputs_, inputs_;
  InstructionSet set_;
  int64_t steps_;                // words of one output: pairs of inputs, or inputs
  bool narrow_ = false;          // bfloat16 pairs in `words_`, the even input low; else float32 bits
  std::vector<uint32_t> words_;  // [strips, steps, 16]
};

}  // namespace cmc::cpu
