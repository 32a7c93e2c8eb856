#pragma once
#include <torch/types.h>

#include <vector>

#include "pipeline/checkpoint/model_config.hpp"

namespace cmc::model {

// How much of a head turns, as head_order() has it: of each half the first numbers.
struct RotatedPart {
  int64_t head_dim, count;  // count even, at most head_dim
};
RotatedPart rotated_part(const checkpoint::ModelConfig& config);

// Whether what a token turns by depends on its sequence's length, so that no table holds it.
bool scales_with_length(const checkpoint::Rope& rope);

// [2, P, head_dim / 2]: `turns` [2, P, count / 2] filled up with what turns nothing (cosine 1, sine 0).
torch::Tensor filled_up(const torch::Tensor& turns, int64_t half);

// Rotations by position, on a model's device: made on the CPU, so that every device turns by the same numbers.
// Tables only grow, and one that was replaced lives on for the captured passes that read it.
class RotationTable {
 public:
  RotationTable(const checkpoint::Rope& rope, RotatedPart layout, torch::Device device);

  // Room for `positions` positions. Does nothing where they depend on lengths.
  void reserve(int64_t positions);
  // [2, positions, head_dim / 2] float32: cosines, then sines, already times the attention factor.
  const torch::Tensor& table() const { return tables_.back(); }
  RotatedPart layout() const { return layout_; }

 private:
  checkpoint::Rope rope_;
  RotatedPart layout_;
  torch::Device device_;
  std::vector<torch::Tensor> tables_;
};

}  // namespace cmc::model
