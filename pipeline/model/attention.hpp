#pragma once
#include <torch/types.h>

#include <vector>

#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/model/heads.hpp"
#include "pipeline/model/pass_plan.hpp"
#include "pipeline/model/score_terms.hpp"

namespace cmc::model {

enum class Reach { full, window };

// Scaled dot-product attention of query [B, heads, T, head_dim] over key and value [B, kv_heads, L, head_dim],
// soft-capped where the configuration says so. mask [.., T, L] bool, true = may attend; undefined: all, or with
// `causal` (T = L) all up to the query's own. terms.bias here by key, [heads, 1, L]; sinks [heads, 1, 1].
// → [B, T, heads * head_dim]. Differentiable.
torch::Tensor attend(const checkpoint::ModelConfig& config, const ScoreTerms& terms, const torch::Tensor& query,
                     const torch::Tensor& key, const torch::Tensor& value, const torch::Tensor& mask, bool causal);

// True where the query (row) may attend to the key (column), [T, past + T] bool, for queries and keys numbered by
// `own` [T] int64 after `past` cached tokens; `tree` [T, past + T]: who sees whom in a tree, undefined: all before.
torch::Tensor span_mask(int64_t past, const torch::Tensor& own, const torch::Tensor& tree, int64_t window);

// Grouped-query attention among the packed tokens of one pass without a cache: spans are independent and gradients
// flow. Flash attention where it takes the heads, else spans of similar length share a padded batch; masks are made
// once and shared by all layers.
class PackedAttention {
 public:
  PackedAttention(const checkpoint::ModelConfig& config, const DevicePlan& plan, const torch::Tensor& tree_mask);

  // → [N, heads * head_dim]
  torch::Tensor operator()(const Heads& heads, Reach reach, const ScoreTerms& terms);

 private:
  // A padded batch of spans: rows of the packed tokens it gathers, and where its results go back.
  struct Batch {
    int64_t size = 0, length = 0;
    torch::Tensor gather;   // [size * length] packed row (padding: row 0 of the batch); undefined: rows lie in order
    torch::Tensor scatter;  // [real tokens] row of the padded result
    int64_t first = 0;      // first packed row when nothing needs gathering
    torch::Tensor window;   // [length, length] causal mask of sliding layers; undefined until one asks for it
  };
  // Whether attend_spans() does.
  bool takes_spans(const Heads& heads, const ScoreTerms& terms) const;
  void make_batches();
  torch::Tensor padded(Batch& batch, const Heads& heads, Reach reach, const ScoreTerms& terms);

  const checkpoint::ModelConfig& config_;
  DevicePlan plan_;
  torch::Tensor tree_mask_, tree_masks_[2];  // by reach
  std::vector<Batch> batches_;               // made when first needed
  torch::Tensor order_;                      // [N] packed row → row of the concatenated batch results
};

}  // namespace cmc::model
