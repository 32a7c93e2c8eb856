#include "pipeline/model/attention.hpp"

#include <ATen/record_function.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "pipeline/core/error.hpp"
#include "pipeline/model/attention_gradient.hpp"
#include "pipeline/model/flash_attention.hpp"
#include "pipeline/model/op_path.hpp"

namespace cmc::model {

namespace {

torch::Tensor index_tensor(const std::vector<int64_t>& values, torch::Device device) {
  return torch::tensor(values, torch::kInt64).to(device);
}

}  // namespace

namespace {

// Softmax of scores with everything that models add to them, then the values.
torch::Tensor attend_in_steps(const checkpoint::ModelConfig& config, const ScoreTerms& terms,
                              const torch::Tensor& query, const torch::Tensor& key, const torch::Tensor& value,
                              const torch::Tensor& mask, bool causal) {
  torch::Tensor scores = torch::matmul(query, key.transpose(2, 3)) * terms.scale;
  if (config.attention_softcap > 0.0)
    scores = torch::tanh(scores / config.attention_softcap) * config.attention_softcap;
  if (terms.bias.defined()) scores = scores + terms.bias;
  const int64_t length = query.size(2);
  const torch::Tensor allowed =
      !mask.defined() && causal ? torch::ones({length, length}, scores.options().dtype(torch::kBool)).tril() : mask;
  if (allowed.defined()) scores = scores.masked_fill(~allowed, -std::numeric_limits<float>::infinity());
  if (!terms.sinks.defined())
    return torch::matmul(torch::softmax(scores, -1, torch::kFloat32).to(value.scalar_type()), value);
  const torch::Tensor sinks = terms.sinks.to(scores.scalar_type()).expand({scores.size(0), -1, length, 1});
  const torch::Tensor shares = torch::softmax(torch::cat({scores, sinks}, -1), -1, torch::kFloat32);
  return torch::matmul(shares.narrow(-1, 0, scores.size(-1)).to(value.scalar_type()), value);
}

}  // namespace

torch::Tensor attend(const checkpoint::ModelConfig& config, const ScoreTerms& terms, const torch::Tensor& query,
                     const torch::Tensor& key, const torch::Tensor& value, const torch::Tensor& mask, bool causal) {
  const int64_t batch = query.size(0), length = query.size(2), group = query.size(1) / key.size(1);
  const auto repeat = [&](const torch::Tensor& x) {
    if (group == 1) return x;
    return x.unsqueeze(2).expand({batch, x.size(1), group, x.size(2), x.size(3)}).flatten(1, 2);
  };
  torch::Tensor result;
  if (config.attention_softcap > 0.0 || terms.bias.defined() || terms.sinks.defined()) {
    result = attend_in_steps(config, terms, query, repeat(key), repeat(value), mask, causal);
  } else {
    std::optional<torch::Tensor> bias;
    if (mask.defined()) bias = mask;
    result = at::scaled_dot_product_attention(query, repeat(key), repeat(value), bias, 0.0, causal, terms.scale);
  }
  return result.transpose(1, 2).reshape({batch, length, query.size(1) * query.size(3)});
}

// A window counts places in the sequence; in a tree, whose branches share places, it counts positions (cached tokens
// stand at those of their order).
torch::Tensor span_mask(int64_t past, const torch::Tensor& own, const torch::Tensor& tree, int64_t window) {
  const torch::Tensor keys = torch::cat({torch::arange(past, own.options()), own}).unsqueeze(0);
  const torch::Tensor queries = own.unsqueeze(1);
  const torch::Tensor mask = tree.defined() ? tree : keys <= queries;
  return window > 0 ? mask & (keys > queries - window) : mask;
}

PackedAttention::PackedAttention(const checkpoint::ModelConfig& config, const DevicePlan& plan,
                                 const torch::Tensor& tree_mask)
    : config_(config), plan_(plan), tree_mask_(tree_mask) {}

// Spans of similar length share a padded batch: at most a quarter of its rows may be padding.
void PackedAttention::make_batches() {
  const std::vector<Placement>& spans = plan_.spans;
  const torch::Device device = plan_.positions.device();
  std::vector<size_t> by_length(spans.size());
  std::iota(by_length.begin(), by_length.end(), size_t{0});
  std::stable_sort(by_length.begin(), by_length.end(),
                   [&](size_t a, size_t b) { return spans[a].tokens > spans[b].tokens; });
  std::vector<int64_t> order(static_cast<size_t>(plan_.shape.tokens));
  int64_t packed = 0;
  for (size_t begin = 0; begin < by_length.size();) {
    const int64_t length = spans[by_length[begin]].tokens;
    size_t end = begin + 1;
    while (end < by_length.size() && 4 * spans[by_length[end]].tokens >= 3 * length) ++end;
    Batch batch{static_cast<int64_t>(end - begin), length, {}, {}, spans[by_length[begin]].first, {}};
    std::vector<int64_t> gather, scatter;
    for (size_t at = begin; at < end; ++at) {
      const Placement& span = spans[by_length[at]];
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
      batch.gather = index_tensor(gather, device);
      if (scatter.size() < gather.size()) batch.scatter = index_tensor(scatter, device);
    }
    batches_.push_back(std::move(batch));
    begin = end;
  }
  if (!std::is_sorted(order.begin(), order.end())) order_ = index_tensor(order, device);
}

// Without gradients too: an objective that compares a model with itself before training sees no difference at first.
bool PackedAttention::takes_spans(const Heads& heads, const ScoreTerms& terms) const {
  if (config_.attention_softcap > 0.0 || terms.bias.defined() || terms.sinks.defined() || tree_mask_.defined() ||
      !heads.joined.defined())
    return false;
  const OpPath path = path_of(heads.joined);
  return path == OpPath::cpu_gradients || path == OpPath::cpu_kernels;
}

torch::Tensor PackedAttention::operator()(const Heads& heads, Reach reach, const ScoreTerms& terms) {
  RECORD_FUNCTION("cmc::packed_attention", c10::ArrayRef<const c10::IValue>{});
  const int64_t window = reach == Reach::window ? config_.window : 0;
  if (!tree_mask_.defined() && takes_flash(heads.query, config_))
    return flash_attend(heads.query, heads.key, heads.value, plan_, terms.scale, window);
  if (takes_spans(heads, terms)) return attend_spans(heads.joined, config_, plan_.spans, terms.scale, window);
  if (batches_.empty()) make_batches();
  std::vector<torch::Tensor> parts;
  for (Batch& batch : batches_) parts.push_back(padded(batch, heads, reach, terms));
  const torch::Tensor packed = parts.size() == 1 ? parts.front() : torch::cat(parts);
  return order_.defined() ? packed.index_select(0, order_) : packed;
}

torch::Tensor PackedAttention::padded(Batch& batch, const Heads& heads, Reach reach, const ScoreTerms& terms) {
  const auto rows_of = [&](const torch::Tensor& x) {
    const torch::Tensor rows =
        batch.gather.defined() ? x.index_select(0, batch.gather) : x.narrow(0, batch.first, batch.size * batch.length);
    return rows.view({batch.size, batch.length, x.size(1), x.size(2)}).transpose(1, 2);
  };
  // Padding stands at the end of each row, so that the causal mask hides it from every real token.
  const int64_t window = reach == Reach::window ? config_.window : 0;
  torch::Tensor mask;
  if (tree_mask_.defined()) {
    torch::Tensor& tree = tree_masks_[static_cast<size_t>(reach)];
    if (!tree.defined()) tree = span_mask(0, plan_.positions.to(torch::kInt64), tree_mask_, window);
    mask = tree;
  } else if (window > 0 && batch.length > window) {
    if (!batch.window.defined()) {
      const auto options = torch::TensorOptions().dtype(torch::kBool).device(plan_.positions.device());
      batch.window = torch::ones({batch.length, batch.length}, options).tril().triu(1 - window);
    }
    mask = batch.window;
  }
  ScoreTerms by_key = terms;
  if (terms.bias.defined()) {
    // Keys of a tree stand at positions of their own; else each span counts from 0.
    by_key.bias =
        tree_mask_.defined() ? terms.bias.index_select(1, plan_.positions) : terms.bias.narrow(1, 0, batch.length);
    by_key.bias = by_key.bias.unsqueeze(1);
  }
  if (terms.sinks.defined()) by_key.sinks = terms.sinks.view({-1, 1, 1});
  const torch::Tensor result =
      attend(config_, by_key, rows_of(heads.query), rows_of(heads.key), rows_of(heads.value), mask, !mask.defined())
          .flatten(0, 1);
  return batch.scatter.defined() ? result.index_select(0, batch.scatter) : result;
}

}  // namespace cmc::model
