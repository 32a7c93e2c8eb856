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

int64_t ContextCache::unread(int64_t slot) const {
  expect(length(slot) > 0, "a context to be continued is not empty");
  return std::max<int64_t>(1, length(slot) - cache_.length(slot));
}

model::PassPlan ContextCache::plan(std::span<const Portion> portions, int64_t padding) {
  model::PassInput input;
  int64_t longest = 0;
  for (const auto& portion : portions) {
    expect(portion.tokens > 0 && portion.tokens <= unread(portion.slot), "a portion of what is unread");
    const bool whole = portion.tokens == unread(portion.slot);
    // A context cut back to a part of what was read: its last token is read again for its state.
    if (cache_.length(portion.slot) == length(portion.slot)) cache_.truncate(portion.slot, length(portion.slot) - 1);
    const auto from = wanted_[static_cast<size_t>(portion.slot)].begin() + cache_.length(portion.slot);
    input.tokens.insert(input.tokens.end(), from, from + portion.tokens);
    input.spans.push_back({portion.slot, portion.tokens});
    if (whole) input.wanted.push_back(static_cast<int32_t>(input.tokens.size()) - 1);
    longest = std::max(longest, cache_.length(portion.slot) + portion.tokens);
  }
  if (longest > cache_.capacity()) cache_.grow(longest);
  for (int64_t row = 0; row < padding; ++row) {
    input.wanted.push_back(static_cast<int32_t>(input.tokens.size()));
    input.tokens.push_back(model::chosen_token);
    input.spans.push_back({cache_.spare_slot(), 1});
  }
  if (input.wanted.empty()) input.wanted.push_back(0);  // none would mean all
  return model_->plan(input, cache_);
}

LazyLogits ContextCache::logits(const model::DevicePlan& plan, int64_t rows) {
  const torch::NoGradGuard no_gradients;
  const auto states = model_->hidden(plan, cache_);
  if (rows == 0) return no_logits();
  if (auto matrix = model_->logits_matrix(states)) return {states, std::move(matrix), logits_memory_};
  return model_->logits(states, logits_memory_.get());
}

torch::Tensor ContextCache::no_logits() const {
  return torch::empty({0, model_->config().vocabulary}, torch::dtype(torch::kFloat32).device(model_->device()));
}

void ContextCache::advance(std::span<const Portion> portions) {
  for (const auto& portion : portions) cache_.advance(portion.slot, portion.tokens);
}

}  // namespace cmc::fusion
