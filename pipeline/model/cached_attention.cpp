#include "pipeline/model/cached_attention.hpp"

#include <ATen/Parallel.h>
#include <ATen/record_function.h>

#include <algorithm>

#include "pipeline/model/attention_kernel.hpp"
#include "pipeline/model/device_ops.hpp"
#include "pipeline/model/flash_attention.hpp"
#include "pipeline/model/op_path.hpp"

namespace cmc::model {

torch::Tensor CachedAttention::operator()(const torch::Tensor& query, const CacheLayer& layer, Reach reach) {
  RECORD_FUNCTION("cmc::attend_cache", c10::ArrayRef<const c10::IValue>{});
  const int64_t window = reach == Reach::window ? config_.window : 0;
  if (tree_mask_.defined()) return long_span(query, plan_.spans.front(), layer, window);
  if (takes_flash(query, config_))
    return flash_attend(query, layer.keys, layer.values, plan_, config_.attention_scale, window);
  switch (path_of(query)) {
    case OpPath::device_kernels:
      return device::attend_cache(query, config_, plan_, layer, window, workspace_);
    case OpPath::cpu_kernels:
      // The kernel reads the heads of a group from rows of whole vectors.
      if (config_.head_dim % 8 == 0 && config_.attention_softcap == 0.0) return by_kernels(query, layer, window);
      break;
    case OpPath::torch:
      break;
  }
  return by_torch(query, layer, window);
}

std::vector<CachedAttention::Stretch> CachedAttention::stretches() const {
  std::vector<Stretch> found;
  for (const Placement& span : plan_.spans) {
    const int64_t keys = std::min(span.past + span.tokens, plan_.shape.longest_key);
    if (span.is_short() && !found.empty() && found.back().span == nullptr) {
      found.back().tokens += span.tokens;
      found.back().longest_key = std::max(found.back().longest_key, keys);
    } else {
      found.push_back({span.first, span.tokens, keys, span.is_short() ? nullptr : &span});
    }
  }
  // One stretch of short spans depends on no span's length but through the bound that a captured pass fixes.
  if (found.size() == 1 && found.front().span == nullptr) found.front().longest_key = plan_.shape.longest_key;
  return found;
}

torch::Tensor CachedAttention::by_torch(const torch::Tensor& query, const CacheLayer& layer, int64_t window) {
  std::vector<torch::Tensor> parts;
  for (const Stretch& some : stretches()) {
    parts.push_back(some.span != nullptr ? long_span(query, *some.span, layer, window)
                                         : single_tokens(query, some, layer, window));
  }
  return parts.size() == 1 ? parts.front() : torch::cat(parts);
}

// Each token against its slot up to its own place. The heads that share a key/value head stand in place of queries, so
// that no key is repeated.
torch::Tensor CachedAttention::single_tokens(const torch::Tensor& query, const Stretch& some, const CacheLayer& layer,
                                             int64_t window) {
  const int64_t tokens = some.tokens, length = some.longest_key, heads = config_.kv_heads, dim = config_.head_dim;
  torch::Tensor& mask = masks_[{some.first, window}];
  if (!mask.defined()) {
    const torch::Tensor places = plan_.places.narrow(0, some.first, tokens).unsqueeze(1);
    const torch::Tensor keys = torch::arange(length, places.options());
    mask = keys <= places;
    if (window > 0) mask = mask & (keys > places - window);
    mask = mask.view({tokens, 1, 1, length});
  }
  torch::Tensor& cells = cells_[some.first];
  if (!plan_.shape.whole_cache && !cells.defined()) {
    const torch::Tensor starts = plan_.slots.narrow(0, some.first, tokens).unsqueeze(1) * layer.capacity;
    // What lies behind a slot is masked; behind the last one there is nothing.
    cells = (starts + torch::arange(length, starts.options())).clamp_max_(layer.keys.size(0) - 1).flatten();
  }
  const auto stored = [&](const torch::Tensor& all) {
    const torch::Tensor rows =
        plan_.shape.whole_cache
            ? all.narrow(0, 0, tokens * layer.capacity).view({tokens, layer.capacity, heads, dim}).narrow(1, 0, length)
            : all.index_select(0, cells).view({tokens, length, heads, dim});
    return rows.transpose(1, 2);
  };
  const torch::Tensor grouped =
      query.narrow(0, some.first, tokens).reshape({tokens, heads, config_.heads / heads, dim});
  // [tokens, group, kv_heads * head_dim], from which the heads of a group go back beside each other
  const torch::Tensor mixed = attend(config_, grouped, stored(layer.keys), stored(layer.values), mask, false);
  return mixed.view({tokens, config_.heads / heads, heads, dim}).transpose(1, 2).reshape({tokens, config_.heads * dim});
}

// → [tokens, heads * head_dim] of one span, over its slot.
torch::Tensor CachedAttention::long_span(const torch::Tensor& query, const Placement& span, const CacheLayer& layer,
                                         int64_t window) {
  const int64_t length = span.past + span.tokens;
  const auto stored = [&](const torch::Tensor& all) {
    return all.narrow(0, span.slot * layer.capacity, length).transpose(0, 1).unsqueeze(0);
  };
  const bool causal = span.past == 0 && !tree_mask_.defined() && (window == 0 || length <= window);
  torch::Tensor mask;
  if (!causal) {
    torch::Tensor& kept = masks_[{span.first, window}];
    if (!kept.defined()) {
      const torch::Tensor& numbers = tree_mask_.defined() ? plan_.positions : plan_.places;
      kept = span_mask(span.past, numbers.narrow(0, span.first, span.tokens).to(torch::kInt64), tree_mask_, window);
    }
    mask = kept;
  }
  const torch::Tensor own = query.narrow(0, span.first, span.tokens).transpose(0, 1).unsqueeze(0);
  return attend(config_, own, stored(layer.keys), stored(layer.values), mask, causal).squeeze(0);
}

// Short spans by the CPU's kernel, long ones (a new sequence beside others that decode) each by itself.
torch::Tensor CachedAttention::by_kernels(const torch::Tensor& query, const CacheLayer& layer, int64_t window) {
  const int64_t heads = config_.kv_heads, group = config_.heads / heads, dim = config_.head_dim;
  torch::Tensor result = torch::empty({query.size(0), config_.heads * dim}, query.options());
  std::vector<int64_t> rows;
  for (const Placement& span : plan_.spans) {
    if (!span.is_short()) result.narrow(0, span.first, span.tokens).copy_(long_span(query, span, layer, window));
    for (int64_t token = 0; span.is_short() && token < span.tokens; ++token) rows.push_back(span.first + token);
  }
  const float *queries = query.const_data_ptr<float>(), *keys = layer.keys.const_data_ptr<float>(),
              *values = layer.values.const_data_ptr<float>();
  const int32_t *slots = plan_.slots.const_data_ptr<int32_t>(), *places = plan_.places.const_data_ptr<int32_t>();
  float* out = result.data_ptr<float>();
  const int64_t query_stride = query.stride(0);
  const auto scale = static_cast<float>(config_.attention_scale);
  at::parallel_for(0, std::ssize(rows) * heads, 1, [&](int64_t first, int64_t last) {
    std::vector<float> scratch;
    for (int64_t task = first; task < last; ++task) {
      const int64_t row = rows[static_cast<size_t>(task / heads)], head = task % heads, end = places[row] + 1;
      const int64_t begin = window > 0 ? std::max<int64_t>(0, end - window) : 0;
      const int64_t at = (slots[row] * layer.capacity * heads + head) * dim;
      attend_row({.query = queries + row * query_stride + head * group * dim,
                  .keys = keys + at,
                  .values = values + at,
                  .group = group,
                  .head_dim = dim,
                  .stride = heads * dim,
                  .first = begin,
                  .last = end,
                  .scale = scale},
                 scratch, out + (row * config_.heads + head * group) * dim);
    }
  });
  return result;
}

}  // namespace cmc::model
