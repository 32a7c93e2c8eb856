#pragma once
#include <torch/types.h>

#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/model/heads.hpp"
#include "pipeline/model/rotation.hpp"

namespace cmc::model {

// Splits joined projections [N, (heads + 2 kv_heads) * head_dim] of a configuration into heads and rotates the halves
// of each query and key head (Llama's rotate_half layout). Without gradients `joined` may be overwritten.
// Differentiable.
Heads rotated_heads(torch::Tensor joined, const checkpoint::ModelConfig& config, HeadNorms norms, const Rotation& turn,
                    const DevicePlan& plan);

// The same with keys and values written to a layer of a cache at the plan's places. → query heads [N, heads, head_dim],
// its rows contiguous or a row of `joined` apart. No gradients.
torch::Tensor rope_cache(torch::Tensor joined, const checkpoint::ModelConfig& config, HeadNorms norms,
                         const Rotation& turn, const DevicePlan& plan, const CacheLayer& layer);

}  // namespace cmc::model
