#include "pipeline/model/attention.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

#include "pipeline/core/error.hpp"
#include "pipeline/model/attention_kernel.hpp"
#include "pipeline/model/cpu_kernels.hpp"

namespace cmc::model {

namespace {

constexpr int64_t short_tokens = 16;  // spans up to this length share one padded batch over the cache

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
  bool all_short = !tree_mask_.defined();
  for (const Placement& span : spans_) all_short = all_short && span.tokens <= short_tokens;
  const bool kernel = takes_cpu_kernels(heads.query) && config_.head_dim % 8 == 0 && config_.attention_softcap == 0.0;
  if (all_short && kernel) return short_spans_on_cpu(heads, layer, reach);
  return all_short && spans_.size() > 1 ? short_spans(heads, layer, reach) : cached(heads, layer, reach);
}

void Attention::write(const Heads& heads, int64_t layer) {
  using torch::indexing::Slice;
  if (slot_index_.defined()) {
    cache_->keys(layer).index_put_({slot_index_, Slice(), place_index_}, heads.key);
    cache_->values(layer).index_put_({slot_index_, Slice(), place_index_}, heads.value);
    return;
  }
  const auto copy = [&](const torch::Tensor& from, torch::Tensor& to) {
    const int64_t bytes = config_.head_dim * from.element_size(), count = from.size(1);
    const auto* source = static_cast<const char*>(from.const_data_ptr());
    auto* target = static_cast<char*>(to.data_ptr());
    for (size_t row = 0; row < slots_.size(); ++row) {
      for (int64_t head = 0; head < count; ++head) {
        const int64_t place = (slots_[row] * count + head) * to.size(2) + places_[row];
        const int64_t at = static_cast<int64_t>(row) * from.stride(0) + head * config_.head_dim;
        std::memcpy(target + place * bytes, source + at * from.element_size(), static_cast<size_t>(bytes));
      }
    }
  };
  copy(heads.key, cache_->keys(layer));
  copy(heads.value, cache_->values(layer));
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

torch::Tensor Attention::cached(const Heads& heads, int64_t layer, Reach reach) {
  std::vector<torch::Tensor> parts;
  for (size_t i = 0; i < spans_.size(); ++i) {
    const Placement& span = spans_[i];
    const int64_t length = span.past + span.tokens;
    const auto stored = [&](torch::Tensor& all) { return all.narrow(0, span.slot, 1).narrow(2, 0, length); };
    const torch::Tensor query = heads.query.narrow(0, span.first, span.tokens).transpose(0, 1).unsqueeze(0);
    const torch::Tensor mask = kept_mask(i, reach);
    parts.push_back(attend(query, stored(cache_->keys(layer)), stored(cache_->values(layer)), mask, false).squeeze(0));
  }
  return parts.size() == 1 ? parts.front() : torch::cat(parts);
}

// All spans at once, queries and cache padded to the longest of each.
torch::Tensor Attention::short_spans(const Heads& heads, int64_t layer, Reach reach) {
  int64_t tokens = 0, length = 0;
  std::vector<int64_t> slots, rows;
  for (const Placement& span : spans_) {
    tokens = std::max(tokens, span.tokens);
    length = std::max(length, span.past + span.tokens);
    slots.push_back(span.slot);
  }
  const int64_t batch = static_cast<int64_t>(spans_.size());
  torch::Tensor& mask = masks_[static_cast<size_t>(reach)].front();
  if (!mask.defined()) {
    mask = torch::zeros({batch, 1, tokens, length},
                        torch::TensorOptions().dtype(torch::kBool).device(positions_.device()));
    mask.select(3, 0).fill_(true);  // padding attends to something, so that its softmax is finite
    for (int64_t i = 0; i < batch; ++i) {
      const Placement& span = spans_[static_cast<size_t>(i)];
      mask[i][0].narrow(0, 0, span.tokens).narrow(1, 0, span.past + span.tokens).copy_(mask_of(span, reach));
      mask[i][0]
          .narrow(0, 0, span.tokens)
          .narrow(1, span.past + span.tokens, length - span.past - span.tokens)
          .fill_(false);
    }
  }
  for (int64_t i = 0; i < batch; ++i) {
    const Placement& span = spans_[static_cast<size_t>(i)];
    for (int64_t token = 0; token < span.tokens; ++token) rows.push_back(i * tokens + token);
  }
  const torch::Tensor slot_rows = index_tensor(slots, positions_.device());
  const torch::Tensor places = index_tensor(rows, positions_.device());
  torch::Tensor query = heads.query.new_zeros({batch * tokens, config_.heads, config_.head_dim});
  query.index_copy_(0, places, heads.query);
  const auto stored = [&](torch::Tensor& all) { return all.narrow(2, 0, length).index_select(0, slot_rows); };
  const torch::Tensor result = attend(query.view({batch, tokens, config_.heads, config_.head_dim}).transpose(1, 2),
                                      stored(cache_->keys(layer)), stored(cache_->values(layer)), mask, false);
  return result.flatten(0, 1).index_select(0, places);
}

torch::Tensor Attention::short_spans_on_cpu(const Heads& heads, int64_t layer, Reach reach) {
  const int64_t rows = heads.query.size(0), group = config_.heads / config_.kv_heads, dim = config_.head_dim;
  torch::Tensor result = torch::empty({rows, config_.heads * dim}, heads.query.options());
  const float* query = heads.query.const_data_ptr<float>();
  const float *keys = cache_->keys(layer).const_data_ptr<float>(),
              *values = cache_->values(layer).const_data_ptr<float>();
  float* out = result.data_ptr<float>();
  at::parallel_for(0, rows * config_.kv_heads, 1, [&](int64_t first, int64_t last) {
    std::vector<float> scratch;
    for (int64_t task = first; task < last; ++task) {
      const int64_t row = task / config_.kv_heads, head = task % config_.kv_heads;
      const int64_t end = places_[static_cast<size_t>(row)] + 1;
      const int64_t begin = reach == Reach::window ? std::max<int64_t>(0, end - config_.window) : 0;
      const int64_t at = (slots_[static_cast<size_t>(row)] * config_.kv_heads + head) * cache_->capacity() * dim;
      const int64_t place = (row * config_.heads + head * group) * dim;
      attend_row(
          {query + place, keys + at, values + at, group, dim, begin, end, static_cast<float>(config_.attention_scale)},
          scratch, out + place);
    }
  });
  return result;
}

}  // namespace cmc::model
