#pragma once
#include <torch/types.h>

#include <map>
#include <utility>

#include "pipeline/model/attention.hpp"

namespace cmc::model {

// Grouped-query attention of one pass over a cache that already holds the pass's own keys and values. Spans of any
// length stand together: single tokens that decode beside chunks of new prompts. No gradients.
class CachedAttention {
 public:
  CachedAttention(const checkpoint::ModelConfig& config, const DevicePlan& plan, const torch::Tensor& tree_mask)
      : config_(config), plan_(plan), tree_mask_(tree_mask) {}

  // query [N, heads, head_dim], rows of heads contiguous → [N, heads * head_dim]
  torch::Tensor operator()(const torch::Tensor& query, const CacheLayer& layer, Reach reach, const ScoreTerms& terms);

 private:
  // Packed rows of consecutive short spans, read a token at a time, or those of one long span.
  struct Stretch {
    int64_t first, tokens, longest_key;
    const Placement* span;  // of a long one
  };
  std::vector<Stretch> stretches() const;
  // What one layer attends with.
  struct Layer {
    const CacheLayer& stored;
    int64_t window;  // 0: all
    const ScoreTerms& terms;
  };
  torch::Tensor by_torch(const torch::Tensor& query, const Layer& layer);
  torch::Tensor by_kernels(const torch::Tensor& query, const Layer& layer);
  torch::Tensor single_tokens(const torch::Tensor& query, const Stretch& some, const Layer& layer);
  torch::Tensor long_span(const torch::Tensor& query, const Placement& span, const Layer& layer);

  const checkpoint::ModelConfig& config_;
  DevicePlan plan_;
  torch::Tensor tree_mask_;
  // Shared by the layers: by first packed row, rows of the cache [tokens, keys], and with the window masks.
  std::map<int64_t, torch::Tensor> cells_;
  std::map<std::pair<int64_t, int64_t>, torch::Tensor> masks_;
  torch::Tensor workspace_;  // of the device's kernel
};

}  // namespace cmc::model
