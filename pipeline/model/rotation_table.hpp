#pragma once
#include <torch/types.h>

#include <vector>

#include "pipeline/checkpoint/model_config.hpp"

namespace cmc::model {

// Rotations by position, on a model's device: made on the CPU, so that every device turns by the same numbers.
// Tables only grow, and one that was replaced lives on for the captured passes that read it.
class RotationTable {
 public:
  RotationTable(const checkpoint::Rope& rope, int64_t head_dim, torch::Device device);

  // Room for `positions` positions. Does nothing for dynamic NTK scaling, which knows no table.
  void reserve(int64_t positions);
  // [2, positions, head_dim / 2] float32: cosines, then sines, already times the attention factor.
  const torch::Tensor& table() const { return tables_.back(); }

 private:
  checkpoint::Rope rope_;
  int64_t head_dim_;
  torch::Device device_;
  std::vector<torch::Tensor> tables_;
};

}  // namespace cmc::model
