#pragma once
#include <torch/types.h>

#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/model/heads.hpp"
#include "pipeline/model/rotation.hpp"

namespace cmc::model {

// What autograd is to know of heads that were normed and turned: `turned` [N, width] is of `joined`, row by row, the
// normed and turned query and key heads, then the values. → `turned`, through which gradients flow. Norms without
// weights or with one for all heads; float32 on a CPU.
torch::Tensor followed_turn(const torch::Tensor& joined, const torch::Tensor& turned,
                            const checkpoint::ModelConfig& config, HeadNorms norms, const Rotation& turn);

}  // namespace cmc::model
