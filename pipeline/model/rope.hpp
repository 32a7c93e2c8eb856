#pragma once
#include <torch/types.h>

#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/model/norm.hpp"
#include "pipeline/model/pass_plan.hpp"
#include "pipeline/model/rotation_table.hpp"

namespace cmc::model {

// Inverse frequencies [head_dim / 2] float32, as transformers' modeling_rope_utils.py computes them, for a sequence of
// `length` tokens (only dynamic NTK scaling depends on it).
torch::Tensor inverse_frequencies(const checkpoint::Rope& rope, int64_t head_dim, int64_t length);

// [2, P, head_dim / 2] float32: cosines and sines of positions [P] float32, times the attention factor.
torch::Tensor turns(const checkpoint::Rope& rope, const torch::Tensor& positions, const torch::Tensor& inverse);

// What the tokens of one pass turn by.
class Rotation {
 public:
  // From a table that holds every position of the pass.
  Rotation(const RotationTable& table, const DevicePlan& plan) : table_(table.table()), rows_(plan.positions) {}
  // Dynamic NTK scaling: each span turns by its own length, whatever else is in the batch. Made on the host.
  Rotation(const checkpoint::Rope& rope, int64_t head_dim, const DevicePlan& plan, torch::Device device);

  const torch::Tensor& table() const { return table_; }  // [2, P, head_dim / 2] float32
  const torch::Tensor& rows() const { return rows_; }    // [N] int32: the row of the table for each token
  // The rows of all tokens in `dtype`, [2, N, head_dim / 2]; made once a pass.
  const torch::Tensor& packed(torch::Dtype dtype) const;

 private:
  torch::Tensor table_, rows_;
  mutable torch::Tensor packed_;
};

// Query, key and value heads of the packed tokens: [N, heads, head_dim], [N, kv_heads, head_dim] twice.
struct Heads {
  torch::Tensor query, key, value;
};

// The norms of each head of queries and keys (Gemma 3); without weights where there are none.
struct HeadNorms {
  const RmsNorm &query, &key;
};

// Splits joined projections [N, (heads + 2 kv_heads) * head_dim] of a configuration into heads and rotates the halves
// of each query and key head (Llama's rotate_half layout). Without gradients `joined` may be overwritten.
// Differentiable.
Heads rotated_heads(torch::Tensor joined, const checkpoint::ModelConfig& config, HeadNorms norms, const Rotation& turn,
                    const DevicePlan& plan);

// One layer of a cache.
struct CacheLayer {
  torch::Tensor keys, values;  // [rows, kv_heads, head_dim]
  int64_t capacity;
  torch::Tensor cells;  // [N] int64, for torch operations: the row that each token of the pass takes
};

// The same with keys and values written to a layer of a cache at the plan's places. → query heads [N, heads, head_dim],
// its rows contiguous or a row of `joined` apart. No gradients.
torch::Tensor rope_cache(torch::Tensor joined, const checkpoint::ModelConfig& config, HeadNorms norms,
                         const Rotation& turn, const DevicePlan& plan, const CacheLayer& layer);

}  // namespace cmc::model
