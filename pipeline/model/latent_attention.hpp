#pragma once
#include "pipeline/model/weights.hpp"

namespace cmc::model {

// Queries, keys and values of [N, hidden] by way of smaller vectors, joined as other models' projections are:
// [N, (heads + 2 kv_heads) * head_dim], values filled up with zeros. Differentiable.
torch::Tensor latent_projections(const checkpoint::ModelConfig& config, const LatentWeights& weights,
                                 const torch::Tensor& x, std::optional<uint64_t> dropout_seed);

}  // namespace cmc::model
