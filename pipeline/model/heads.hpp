#pragma once
#include <torch/types.h>

#include "pipeline/model/norm_weights.hpp"

namespace cmc::model {

// Query, key and value heads of the packed tokens: [N, heads, head_dim], [N, kv_heads, head_dim] twice.
struct Heads {
  torch::Tensor query, key, value;
  torch::Tensor joined = {};  // [N, all of them]: what they are views of, where it is one; else undefined
};

// The norms of each head of queries and keys: one weight for all of them [head_dim], or one each [heads, head_dim].
struct HeadNorms {
  const Norm &query, &key;
};

// One layer of a cache.
struct CacheLayer {
  torch::Tensor keys, values;  // [rows, kv_heads, head_dim]
  int64_t capacity;
  torch::Tensor cells;  // [N] int64, for torch operations: the row that each token of the pass takes
};

}  // namespace cmc::model
