#include "pipeline/model/cached_attention.hpp"

#include <ATen/Parallel.h>
#include <ATen/record_function.h>

#include <algorithm>

#include "pipeline/cpu/attention_kernel.hpp"
#include "pipeline/model/device_ops.hpp"
#include "pipeline/model/flash_attention.hpp"
#include "pipeline/model/op_path.hpp"

namespace cmc::model {

torch::Tensor CachedAttention::operator()(const torch::Tensor& query, const CacheLayer& stored, Reach reach,
                                          const ScoreTerms& terms) {
  RECORD_FUNCTION("cmc::attend_cache", c10::ArrayRef<const c10::IValue>{});
  const int64_t window = reach == Reach::window ? config_.window : 0;
  const Layer layer{stored, window, terms};
  if (tree_mask_.defined()) return long_span(query, plan_.spans.front(), layer);
  if (takes_flash(query, config_)) return flash_attend(query, stored.keys, stored.values, plan_, terms.scale, window);
  switch (path_of(query)) {
    case OpPath::device_kernels:
      return device::attend_cache(query, config_, plan_, stored, window, terms, workspace_);
    case OpPath::cpu_kernels:
      // The kernel reads the heads of a group from rows of whole vectors.
      if (config_.head_dim % 8 == 0) return by_kernels(query, layer);
      break;
    case OpPath::cpu_gradients:
    case OpPath::torch:
      break;
  }
  return by_torch(query, layer);
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

torch::Tensor CachedAttention::by_torch(const torch::Tensor& query, const Layer& layer) {
  std::vector<torch::Tensor> parts;
  for (const Stretch& some : stretches()) {
    parts.push_back(some.span != nullptr ? long_span(query, *some.span, layer) : single_tokens(query, some, layer));
  }
  return parts.size() == 1 ? parts.front() : torch::cat(parts);
}

// Each token against its slot up to its own place. The heads that share a key/value head stand in place of queries, so
// that no key is repeated.
torch::Tensor CachedAttention::single_tokens(const torch::Tensor& query, const Stretch& some, const Layer& layer) {
  const int64_t tokens = some.tokens, length = some.longest_key, heads = config_.kv_heads, dim = config_.head_dim,
                group = config_.heads / heads, capacity = layer.stored.capacity;
  torch::Tensor& mask = masks_[{some.first, layer.window}];
  if (!mask.defined()) {
    const torch::Tensor places = plan_.places.narrow(0, some.first, tokens).unsqueeze(1);
    const torch::Tensor keys = torch::arange(length, places.options());
    mask = keys <= places;
    if (layer.window > 0) mask = mask & (keys > places - layer.window);
    mask = mask.view({tokens, 1, 1, length});
  }
  torch::Tensor& cells = cells_[some.first];
  if (!plan_.shape.whole_cache && !cells.defined()) {
    const torch::Tensor starts = plan_.slots.narrow(0, some.first, tokens).unsqueeze(1) * capacity;
    // What lies behind a slot is masked; behind the last one there is nothing.
    cells = (starts + torch::arange(length, starts.options())).clamp_max_(layer.stored.keys.size(0) - 1).flatten();
  }
  const auto stored = [&](const torch::Tensor& all) {
    const torch::Tensor rows =
        plan_.shape.whole_cache
            ? all.narrow(0, 0, tokens * capacity).view({tokens, capacity, heads, dim}).narrow(1, 0, length)
            : all.index_select(0, cells).view({tokens, length, heads, dim});
    return rows.transpose(1, 2);
  };
  ScoreTerms terms = layer.terms;
  if (terms.bias.defined()) terms.bias = terms.bias.narrow(1, 0, length).unflatten(0, {heads, group});
  if (terms.sinks.defined()) terms.sinks = terms.sinks.view({heads, group, 1});
  const torch::Tensor grouped = query.narrow(0, some.first, tokens).reshape({tokens, heads, group, dim});
  // [tokens, group, kv_heads * head_dim], from which the heads of a group go back beside each other
  const torch::Tensor mixed =
      attend(config_, terms, grouped, stored(layer.stored.keys), stored(layer.stored.values), mask, false);
  return mixed.view({tokens, group, heads, dim}).transpose(1, 2).reshape({tokens, config_.heads * dim});
}

// → [tokens, heads * head_dim] of one span, over its slot.
torch::Tensor CachedAttention::long_span(const torch::Tensor& query, const Placement& span, const Layer& layer) {
  const int64_t length = span.past + span.tokens, window = layer.window;
  const auto stored = [&](const torch::Tensor& all) {
    return all.narrow(0, span.slot * layer.stored.capacity, length).transpose(0, 1).unsqueeze(0);
  };
  const auto own_numbers = [&] {
    const torch::Tensor& numbers = tree_mask_.defined() ? plan_.positions : plan_.places;
    return numbers.narrow(0, span.first, span.tokens).to(torch::kInt64);
  };
  const bool causal = span.past == 0 && !tree_mask_.defined() && (window == 0 || length <= window);
  torch::Tensor mask;
  if (!causal) {
    torch::Tensor& kept = masks_[{span.first, window}];
    if (!kept.defined()) kept = span_mask(span.past, own_numbers(), tree_mask_, window);
    mask = kept;
  }
  ScoreTerms terms = layer.terms;
  if (terms.bias.defined()) {
    const torch::Tensor past = terms.bias.narrow(1, 0, span.past);
    terms.bias = torch::cat({past, terms.bias.index_select(1, own_numbers())}, 1).unsqueeze(1);
  }
  if (terms.sinks.defined()) terms.sinks = terms.sinks.view({-1, 1, 1});
  const torch::Tensor own = query.narrow(0, span.first, span.tokens).transpose(0, 1).unsqueeze(0);
  return attend(config_, terms, own, stored(layer.stored.keys), stored(layer.stored.values), mask, causal).squeeze(0);
}

// Short spans by the CPU's kernel, long ones (a new sequence beside others that decode) each by itself.
torch::Tensor CachedAttention::by_kernels(const torch::Tensor& query, const Layer& layer) {
  const int64_t heads = config_.kv_heads, group = config_.heads / heads, dim = config_.head_dim;
  torch::Tensor result = torch::empty({query.size(0), config_.heads * dim}, query.options());
  std::vector<int64_t> rows;
  for (const Placement& span : plan_.spans) {
    if (!span.is_short()) result.narrow(0, span.first, span.tokens).copy_(long_span(query, span, layer));
    for (int64_t token = 0; span.is_short() && token < span.tokens; ++token) rows.push_back(span.first + token);
  }
  const auto data = [](const torch::Tensor& x) { return x.defined() ? x.const_data_ptr<float>() : nullptr; };
  const float *queries = data(query), *keys = data(layer.stored.keys), *values = data(layer.stored.values),
              *bias = data(layer.terms.bias), *sinks = data(layer.terms.sinks);
  const int64_t bias_stride = bias != nullptr ? layer.terms.bias.stride(0) : 0, window = layer.window;
  const int32_t *slots = plan_.slots.const_data_ptr<int32_t>(), *places = plan_.places.const_data_ptr<int32_t>();
  float* out = result.data_ptr<float>();
  const int64_t query_stride = query.stride(0);
  const auto scale = static_cast<float>(layer.terms.scale), softcap = static_cast<float>(config_.attention_softcap);
  at::parallel_for(0, std::ssize(rows) * heads, 1, [&](int64_t first, int64_t last) {
    std::vector<float> scratch;
    for (int64_t task = first; task < last; ++task) {
      const int64_t row = rows[static_cast<size_t>(task / heads)], head = task % heads, end = places[row] + 1;
      const int64_t begin = window > 0 ? std::max<int64_t>(0, end - window) : 0;
      const int64_t at = (slots[row] * layer.stored.capacity * heads + head) * dim;
      cpu::attend_row({.query = queries + row * query_stride + head * group * dim,
                       .keys = keys + at,
                       .values = values + at,
                       .group = group,
                       .head_dim = dim,
                       .stride = heads * dim,
                       .first = begin,
                       .last = end,
                       .scale = scale,
                       .softcap = softcap,
                       .bias = bias != nullptr ? bias + head * group * bias_stride : nullptr,
                       .bias_stride = bias_stride,
                       .sinks = sinks != nullptr ? sinks + head * group : nullptr},
                      scratch, out + (row * config_.heads + head * group) * dim);
    }
  });
  return result;
}

}  // namespace cmc::model
