// Attention over the cache: writing it, decoding, and spans that follow a past.
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>

#include "pipeline/model/attention.hpp"
#include "pipeline/model/attention_kernel.hpp"

namespace cmc::model {

namespace {

torch::Tensor index_tensor(const std::vector<int64_t>& values, torch::Device device) {
  return torch::tensor(values, torch::kInt64).to(device);
}

}  // namespace

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

// → [tokens, heads * head_dim] of one span, over its slot.
torch::Tensor Attention::long_span(size_t number, const Heads& heads, int64_t layer, Reach reach) {
  const Placement& span = spans_[number];
  const int64_t length = span.past + span.tokens;
  const auto stored = [&](torch::Tensor& all) { return all.narrow(0, span.slot, 1).narrow(2, 0, length); };
  const torch::Tensor query = heads.query.narrow(0, span.first, span.tokens).transpose(0, 1).unsqueeze(0);
  const bool causal = span.past == 0 && !tree_mask_.defined() && (reach == Reach::full || length <= config_.window);
  const torch::Tensor mask = causal ? torch::Tensor() : kept_mask(number, reach);
  return attend(query, stored(cache_->keys(layer)), stored(cache_->values(layer)), mask, causal).squeeze(0);
}

torch::Tensor Attention::long_spans(const Heads& heads, int64_t layer, Reach reach) {
  std::vector<torch::Tensor> parts;
  for (size_t i = 0; i < spans_.size(); ++i) parts.push_back(long_span(i, heads, layer, reach));
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

// Short spans by the kernel, long ones (a new sequence beside others that decode) each by itself.
torch::Tensor Attention::mixed_spans(const Heads& heads, int64_t layer, Reach reach) {
  torch::Tensor result = torch::empty({heads.query.size(0), config_.heads * config_.head_dim}, heads.query.options());
  std::vector<int64_t> rows;
  for (size_t i = 0; i < spans_.size(); ++i) {
    const Placement& span = spans_[i];
    if (!span.is_short()) result.narrow(0, span.first, span.tokens).copy_(long_span(i, heads, layer, reach));
    for (int64_t token = 0; span.is_short() && token < span.tokens; ++token) rows.push_back(span.first + token);
  }
  const int64_t group = config_.heads / config_.kv_heads, dim = config_.head_dim;
  const float* query = heads.query.const_data_ptr<float>();
  const float* keys = cache_->keys(layer).const_data_ptr<float>();
  const float* values = cache_->values(layer).const_data_ptr<float>();
  float* out = result.data_ptr<float>();
  at::parallel_for(0, static_cast<int64_t>(rows.size()) * config_.kv_heads, 1, [&](int64_t first, int64_t last) {
    std::vector<float> scratch;
    for (int64_t task = first; task < last; ++task) {
      const auto row = static_cast<size_t>(rows[static_cast<size_t>(task / config_.kv_heads)]);
      const int64_t head = task % config_.kv_heads, end = places_[row] + 1;
      const int64_t begin = reach == Reach::window ? std::max<int64_t>(0, end - config_.window) : 0;
      const int64_t at = (slots_[row] * config_.kv_heads + head) * cache_->capacity() * dim;
      const int64_t place = (static_cast<int64_t>(row) * config_.heads + head * group) * dim;
      const auto scale = static_cast<float>(config_.attention_scale);
      attend_row({query + place, keys + at, values + at, group, dim, begin, end, scale}, scratch, out + place);
    }
  });
  return result;
}

}  // namespace cmc::model
