#pragma once
#include "pipeline/model/cached_attention.hpp"
#include "pipeline/model/kv_cache.hpp"
#include "pipeline/model/norm_weights.hpp"
#include "pipeline/model/rotation.hpp"
#include "pipeline/model/tensor_group.hpp"
#include "pipeline/model/weights.hpp"

namespace cmc::model {

// What the layers of one forward pass share.
struct Pass {
  const checkpoint::ModelConfig& config;  // with this rank's heads
  TensorGroup group;
  DevicePlan plan;
  KvCache* cache;       // of this rank's layers
  int64_t first_layer;  // of these
  torch::Tensor cells;  // see CacheLayer
  Rotation turn, local_turn, still;
  torch::Tensor bias;  // [heads, positions] of scores; undefined: none
  PackedAttention packed;
  CachedAttention cached;
  std::optional<uint64_t> dropout_seed;
};

// The residual stream, and what the block before adds to it.
struct Stream {
  torch::Tensor x;
  Branch added;
};

// Layer `index` as the configuration describes it: attention and MLP, one after the other or side by side, with norms
// where there are any. Differentiable without a cache.
void run_layer(Pass& pass, const LayerWeights& layer, Stream& stream, int64_t index);

}  // namespace cmc::model
