#include "pipeline/model/attention.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "pipeline/core/error.hpp"
#include "pipeline/model/cpu_kernels.hpp"

namespace cmc::model {

namespace {

torch::Tensor index_tensor(const std::vector<int64_t>& values, torch::Device device) {
  return torch::tensor(values, torch::kInt64).to(device);
}

}  // namespace

Attention::Attention(const checkpoint::ModelConfig& config, std::vector<Placement> spans,
                     const torch::Tensor& positions, const torch::Tensor& tree_mask, KvCache* cache)
    : config_(config), spans_(std::move(spans)), positions_(positions), tree_mask_(tree_mask), cache_(cache) {
  for (const Placement& span : spans_) {
    fresh_ = fresh_ && span.past == 0;
    slots_.insert(slots_.end(), static_cast<size_t>(span.tokens), span.slot);
    for (int64_t token = 0; token < span.tokens; ++token) places_.push_back(span.past + token);
  }
  if (tree_mask_.defined()) fresh_ = cache_ == nullptr;
  if (cache_ != nullptr && !positions.device().is_cpu()) {
    slot_index_ = index_tensor(slots_, positions.device());
    place_index_ = index_tensor(places_, positions.device());
  }
  if (fresh_) plan_fresh();
  const size_t masks = spans_.size();
  masks_[0].resize(masks);
  masks_[1].resize(masks);
}

// Spans of similar length share a padded batch: at most a quarter of its rows may be padding.
void Attention::plan_fresh() {
  std::vector<size_t> by_length(spans_.size());
  std::iota(by_length.begin(), by_length.end(), size_t{0});
  std::stable_sort(by_length.begin(), by_length.end(),
                   [&](size_t a, size_t b) { return spans_[a].tokens > spans_[b].tokens; });
  std::vector<int64_t> order(static_cast<size_t>(positions_.size(0)));
  int64_t packed = 0;
  for (size_t begin = 0; begin < by_length.size();) {
    const int64_t length = spans_[by_length[begin]].tokens;
    size_t end = begin + 1;
    while (end < by_length.size() && 4 * spans_[by_length[end]].tokens >= 3 * length) ++end;
    FreshBatch batch{static_cast<int64_t>(end - begin), length, {}, {}, spans_[by_length[begin]].first, {}};
    std::vector<int64_t> gather, scatter;
    for (size_t at = begin; at < end; ++at) {
      const Placement& span = spans_[by_length[at]];
      for (int64_t token = 0; token < length; ++token) {
        gather.push_back(token < span.tokens ? span.first + token : batch.first);
        if (token >= span.tokens) continue;
        scatter.push_back(static_cast<int64_t>(at - begin) * length + token);
        order[static_cast<size_t>(span.first + token)] = packed++;
      }
    }
    bool in_order = true;
    for (size_t i = 0; i < gather.size(); ++i)
      in_order = in_order && gather[i] == batch.first + static_cast<int64_t>(i);
    if (!in_order) {
      batch.gather = index_tensor(gather, positions_.device());
      if (scatter.size() < gather.size()) batch.scatter = index_tensor(scatter, positions_.device());
    }
    batches_.push_back(std::move(batch));
    begin = end;
  }
  if (!std::is_sorted(order.begin(), order.end())) order_ = index_tensor(order, positions_.device());
}

torch::Tensor Attention::operator()(const Heads& heads, int64_t layer, Reach reach) {
  if (config_.window == 0) reach = Reach::full;
  if (cache_ != nullptr) write(heads, layer);
  if (fresh_) return fresh(heads, reach);
  // The kernel reads the heads of a group from rows of whole vectors.
  const bool kernel = takes_cpu_kernels(heads.query) && config_.head_dim % 8 == 0 && config_.attention_softcap == 0.0;
  if (kernel && !tree_mask_.defined()) return mixed_spans(heads, layer, reach);
  const bool all_short =
      std::all_of(spans_.begin(), spans_.end(), [](const Placement& span) { return span.is_short(); });
  if (all_short && !tree_mask_.defined() && spans_.size() > 1) return short_spans(heads, layer, reach);
  return long_spans(heads, layer, reach);
}

// True where the query (row) may attend to the key (column): [tokens, past + tokens]. A window counts places in the
// sequence; in a tree, whose branches share places, it counts positions (cached tokens stand at those of their order).
torch::Tensor Attention::mask_of(const Placement& span, Reach reach) const {
  const auto options = torch::TensorOptions().dtype(torch::kInt64).device(positions_.device());
  const torch::Tensor past = torch::arange(span.past, options);
  const torch::Tensor own = tree_mask_.defined() ? positions_.narrow(0, span.first, span.tokens)
                                                 : torch::arange(span.past, span.past + span.tokens, options);
  const torch::Tensor keys = torch::cat({past, own}).unsqueeze(0), queries = own.unsqueeze(1);
  torch::Tensor mask = tree_mask_.defined() ? tree_mask_ : keys <= queries;
  return reach == Reach::window ? mask & (keys > queries - config_.window) : mask;
}

const torch::Tensor& Attention::kept_mask(size_t span, Reach reach) {
  torch::Tensor& mask = masks_[static_cast<size_t>(reach)][span];
  if (!mask.defined()) mask = mask_of(spans_[span], reach);
  return mask;
}

// query [B, heads, T, D], key and value [B, kv_heads, L, D], mask [.., T, L] or undefined → [B, T, heads * D].
torch::Tensor Attention::attend(const torch::Tensor& query, const torch::Tensor& key, const torch::Tensor& value,
                                const torch::Tensor& mask, bool causal) const {
  const int64_t batch = query.size(0), length = query.size(2), group = config_.heads / config_.kv_heads;
  const auto repeat = [&](const torch::Tensor& x) {
    if (group == 1) return x;
    return x.unsqueeze(2).expand({batch, config_.kv_heads, group, x.size(2), x.size(3)}).flatten(1, 2);
  };
  torch::Tensor result;
  if (config_.attention_softcap > 0.0) {
    torch::Tensor scores = torch::matmul(query, repeat(key).transpose(2, 3)) * config_.attention_scale;
    scores = torch::tanh(scores / config_.attention_softcap) * config_.attention_softcap;
    const torch::Tensor allowed =
        mask.defined() ? mask : torch::ones({length, length}, scores.options().dtype(torch::kBool)).tril();
    scores = scores.masked_fill(~allowed, -std::numeric_limits<float>::infinity());
    result = torch::matmul(torch::softmax(scores, -1, torch::kFloat32).to(value.scalar_type()), repeat(value));
  } else {
    std::optional<torch::Tensor> bias;
    if (mask.defined()) bias = mask;
    result =
        at::scaled_dot_product_attention(query, repeat(key), repeat(value), bias, 0.0, causal, config_.attention_scale);
  }
  return result.transpose(1, 2).reshape({batch, length, config_.heads * config_.head_dim});
}

torch::Tensor Attention::fresh(const Heads& heads, Reach reach) {
  std::vector<torch::Tensor> parts;
  for (FreshBatch& batch : batches_) parts.push_back(fresh_batch(batch, heads, reach));
  const torch::Tensor packed = parts.size() == 1 ? parts.front() : torch::cat(parts);
  return order_.defined() ? packed.index_select(0, order_) : packed;
}

torch::Tensor Attention::fresh_batch(FreshBatch& batch, const Heads& heads, Reach reach) {
  const auto padded = [&](const torch::Tensor& x) {
    const torch::Tensor rows =
        batch.gather.defined() ? x.index_select(0, batch.gather) : x.narrow(0, batch.first, batch.size * batch.length);
    return rows.view({batch.size, batch.length, x.size(1), x.size(2)}).transpose(1, 2);
  };
  // Padding stands at the end of each row, so that the causal mask hides it from every real token.
  torch::Tensor mask;
  if (tree_mask_.defined()) {
    mask = kept_mask(0, reach);
  } else if (reach == Reach::window && batch.length > config_.window) {
    if (!batch.window.defined()) {
      const auto options = torch::TensorOptions().dtype(torch::kBool).device(positions_.device());
      batch.window = torch::ones({batch.length, batch.length}, options).tril().triu(1 - config_.window);
    }
    mask = batch.window;
  }
  const torch::Tensor result =
      attend(padded(heads.query), padded(heads.key), padded(heads.value), mask, !mask.defined()).flatten(0, 1);
  return batch.scatter.defined() ? result.index_select(0, batch.scatter) : result;
}

}  // namespace cmc::model
