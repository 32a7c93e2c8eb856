#pragma once
#include <torch/types.h>

#include <optional>

#include "pipeline/model/weights.hpp"

namespace cmc::model {

// A mixture of experts: [N, hidden] → this rank's part of [N, hidden]. Differentiable. Without gradients on CUDA a few
// tokens are computed without asking the host which experts they chose, so that a pass may be captured.
torch::Tensor mix_experts(const checkpoint::ModelConfig& config, const ExpertWeights& weights, const torch::Tensor& x,
                          std::optional<uint64_t> dropout_seed);

}  // namespace cmc::model
