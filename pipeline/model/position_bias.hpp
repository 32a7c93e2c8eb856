#pragma once
#include <torch/types.h>

#include <vector>

#include "pipeline/checkpoint/model_config.hpp"

namespace cmc::model {

// What ALiBi adds to the scores of keys, by head and position, on a model's device. Tables only grow, and one that was
// replaced lives on for the captured passes that read it. (A softmax does not see what is added to a whole row, so that
// positions may be counted from the first key.)
class PositionBias {
 public:
  PositionBias(checkpoint::Alibi alibi, torch::Device device) : alibi_(std::move(alibi)), device_(device) {}

  void reserve(int64_t positions);
  const torch::Tensor& table() const { return tables_.back(); }  // [heads, positions] float32

 private:
  checkpoint::Alibi alibi_;
  torch::Device device_;
  std::vector<torch::Tensor> tables_;
};

}  // namespace cmc::model
