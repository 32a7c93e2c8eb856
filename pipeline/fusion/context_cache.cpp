#include "pipeline/fusion/context_cache.hpp"

#include <algorithm>

#include "pipeline/core/error.hpp"

namespace cmc::fusion {

ContextCache::ContextCache(std::shared_ptr<const model::DecoderModel> model, int64_t slots, int64_t initial_capacity)
    : model_(std::move(model)),
      cache_(model_->make_cache(slots, initial_capacity)),
      wanted_(static_cast<size_t>(slots)) {}

void ContextCache::set(int64_t slot, std::span<const int32_t> ids) {
  auto& wanted = wanted_[static_cast<size_t>(slot)];
  const auto shared = std::mismatch(ids.begin(), ids.end(), wanted.begin(), wanted.end()).first - ids.begin();
  if (shared < cache_.length(slot)) cache_.truncate(slot, shared);
  wanted.resize(static_cast<size_t>(shared));
  wanted.insert(wanted.end(), ids.begin() + shared, ids.end());
}

void ContextCache::append(int64_t slot, int32_t id) {
  wanted_[static_cast<size_t>(slot)].push_back(id);
}

torch::Tensor ContextCache::next(std::span<const int64_t> slots) {
  const torch::NoGradGuard no_gradients;
  std::vector<int64_t> tokens, last;
  std::vector<model::Span> spans;
  int64_t longest = 0;
  for (const int64_t slot : slots) {
    const auto& wanted = wanted_[static_cast<size_t>(slot)];
    expect(!wanted.empty(), "a context to be continued is not empty");
    // A context cut back to a part of what was read: its last token is read again for its state.
    if (cache_.length(slot) == length(slot)) cache_.truncate(slot, length(slot) - 1);
    const auto from = static_cast<size_t>(cache_.length(slot));
    tokens.insert(tokens.end(), wanted.begin() + static_cast<std::ptrdiff_t>(from), wanted.end());
    spans.push_back({slot, static_cast<int64_t>(wanted.size() - from)});
    last.push_back(static_cast<int64_t>(tokens.size()) - 1);
    longest = std::max(longest, length(slot));
  }
  if (longest > cache_.capacity()) grow(longest);
  model::ModelInput input;
  input.tokens = torch::tensor(tokens, torch::kInt64).to(model_->device());
  input.spans = std::move(spans);
  auto hidden = model_->hidden(input, &cache_);
  if (tokens.size() != slots.size())
    hidden = hidden.index_select(0, torch::tensor(last, torch::kInt64).to(hidden.device()));
  return model_->logits(hidden);
}

void ContextCache::grow(int64_t capacity) {
  capacity = std::max(capacity, 2 * cache_.capacity());
  model::KvCache larger = model_->make_cache(cache_.slots(), capacity);
  for (int64_t layer = 0; layer < model_->config().layers; ++layer) {
    larger.keys(layer).narrow(2, 0, cache_.capacity()).copy_(cache_.keys(layer));
    larger.values(layer).narrow(2, 0, cache_.capacity()).copy_(cache_.values(layer));
  }
  for (int64_t slot = 0; slot < cache_.slots(); ++slot) larger.advance(slot, cache_.length(slot));
  cache_ = std::move(larger);
}

}  // namespace cmc::fusion
