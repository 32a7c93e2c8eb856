#pragma once
#include <torch/types.h>

#include <vector>

#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/model/kv_cache.hpp"

namespace cmc::model {

// Where a span sits: rows [first, first + tokens) of the packed input, after `past` cached tokens of `slot`.
struct Placement {
  int64_t slot = 0, first = 0, tokens = 0, past = 0;
  bool is_short() const { return tokens <= 16; }  // decoding: worth a batch over the cache
};

enum class Reach { full, window };

// Query, key and value heads of the packed tokens: [N, heads, head_dim], [N, kv_heads, head_dim] twice.
struct Heads {
  torch::Tensor query, key, value;
};

// Grouped-query attention of one forward pass; masks are made once and shared by all layers.
// With a cache, keys and values are written to it first. Without one, spans are independent and gradients flow.
class Attention {
 public:
  Attention(const checkpoint::ModelConfig& config, std::vector<Placement> spans, const torch::Tensor& positions,
            const torch::Tensor& tree_mask, KvCache* cache);

  // → [N, heads * head_dim]
  torch::Tensor operator()(const Heads& heads, int64_t layer, Reach reach);

 private:
  // A padded batch of spans without a past: rows of the packed tokens it gathers, and where its results go back.
  struct FreshBatch {
    int64_t size = 0, length = 0;
    torch::Tensor gather;   // [size * length] packed row (padding: row 0 of the batch); undefined: rows lie in order
    torch::Tensor scatter;  // [real tokens] row of the padded result
    int64_t first = 0;      // first packed row when nothing needs gathering
    torch::Tensor window;   // [length, length] causal mask of sliding layers; undefined until one asks for it
  };
  void plan_fresh();
  torch::Tensor fresh(const Heads& heads, Reach reach);
  torch::Tensor fresh_batch(FreshBatch& batch, const Heads& heads, Reach reach);
  void write(const Heads& heads, int64_t layer);
  torch::Tensor long_span(size_t number, const Heads& heads, int64_t layer, Reach reach);
  torch::Tensor long_spans(const Heads& heads, int64_t layer, Reach reach);
  torch::Tensor short_spans(const Heads& heads, int64_t layer, Reach reach);
  torch::Tensor mixed_spans(const Heads& heads, int64_t layer, Reach reach);
  torch::Tensor mask_of(const Placement& span, Reach reach) const;
  const torch::Tensor& kept_mask(size_t span, Reach reach);
  torch::Tensor attend(const torch::Tensor& query, const torch::Tensor& key, const torch::Tensor& value,
                       const torch::Tensor& mask, bool causal) const;

  const checkpoint::ModelConfig& config_;
  std::vector<Placement> spans_;
  torch::Tensor positions_, tree_mask_;
  KvCache* cache_;
  bool fresh_ = true;  // no span has a past
  std::vector<FreshBatch> batches_;
  torch::Tensor order_;                     // [N] packed row → row of the concatenated batch results
  std::vector<int64_t> slots_, places_;     // [N] where each token is written
  torch::Tensor slot_index_, place_index_;  // the same on a device other than the CPU
  std::vector<torch::Tensor> masks_[2];     // by reach, by span (or one for the short batch)
};

}  // namespace cmc::model
