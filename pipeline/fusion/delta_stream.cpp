#include "pipeline/fusion/delta_stream.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <string>

#include "pipeline/core/error.hpp"
#include "pipeline/fusion/bounded_choice.hpp"

namespace cmc::fusion {
namespace {

void check_parts(const Delta& delta, const Base& base) {
  expect(!delta.parts.empty(), "a delta has at least one model");
  for (const auto& part : delta.parts) {
    expect(part.model != nullptr, "a delta's model is loaded");
    if (part.model->config().vocabulary != delta.parts[0].model->config().vocabulary)
      throw BadData({"delta models",
                     "have vocabularies of different sizes (" +
                         std::to_string(delta.parts[0].model->config().vocabulary) + " and " +
                         std::to_string(part.model->config().vocabulary) + ")",
                     "expert and anti-expert must share one tokenizer"});
  }
  expect((delta.map == nullptr) == (delta.tokenizer == nullptr),
         "a delta of another vocabulary has a tokenizer and a map");
  expect(delta.map == nullptr || base.tokenizer != nullptr, "a delta of another vocabulary needs the base's tokenizer");
  expect(!delta.contrast || (delta.map == nullptr && delta.parts.size() == 1 &&
                             delta.parts[0].model->config().vocabulary == base.model->config().vocabulary),
         "a contrast is of one model of the base's vocabulary");
}

// Whether a model has a row for what its tokenizer numbers so: some tokenizers have a special token more than their
// model.
bool has_row(DeltaToken token, int64_t width) {
  return token.value >= 0 && token.value < width;
}

// The map between the rows of two models, `vocabulary` base tokens to `width` delta tokens: what either has no row for
// is not mapped, base rows without a token are not either.
token_map::TokenMap fitted(token_map::TokenMap map, int64_t vocabulary, int64_t width) {
  map.ids.resize(std::min(map.ids.size(), static_cast<size_t>(vocabulary)));
  for (DeltaToken& id : map.ids) {
    if (!has_row(id, width)) id = DeltaToken{-1};
  }
  if (map.offsets.empty()) return map;
  std::vector<DeltaToken> candidates;
  std::vector<int64_t> offsets = {0};
  for (int64_t token = 0; token < vocabulary; ++token) {
    for (int64_t at = token + 1 < std::ssize(map.offsets) ? map.offsets[static_cast<size_t>(token)]
                                                          : map.offsets.back();
         at < map.offsets[std::min(static_cast<size_t>(token) + 1, map.offsets.size() - 1)]; ++at) {
      const DeltaToken candidate = map.candidates[static_cast<size_t>(at)];
      if (has_row(candidate, width)) candidates.push_back(candidate);
    }
    offsets.push_back(std::ssize(candidates));
  }
  map.candidates = std::move(candidates);
  map.offsets = std::move(offsets);
  return map;
}

torch::Tensor tensor_of(const std::vector<DeltaToken>& tokens, torch::Device device) {
  std::vector<int32_t> ids;
  ids.reserve(tokens.size());
  for (const auto id : tokens) ids.push_back(id.value);
  return torch::tensor(ids, torch::kInt32).to(device);
}

}  // namespace

Delta delta_model(std::shared_ptr<const model::DecoderModel> model) {
  return {{{std::move(model), 1.0f}}};
}

Delta proxy_tuning(std::shared_ptr<const model::DecoderModel> expert,
                   std::shared_ptr<const model::DecoderModel> anti_expert) {
  return {{{std::move(expert), 1.0f}, {std::move(anti_expert), -1.0f}}};
}

Delta contrast_with(std::shared_ptr<const model::DecoderModel> base) {
  return {.parts = {{std::move(base), 1.0f}}, .contrast = true};
}

DeltaStream::DeltaStream(Delta delta, const Base& base, const FusionSettings& settings)
    : delta_(std::move(delta)),
      base_tokenizer_(base.tokenizer),
      settings_(settings),
      device_(base.model->device()),
      vocabulary_(base.model->config().vocabulary) {
  check_parts(delta_, base);
  const int64_t width = delta_.parts[0].model->config().vocabulary;
  narrower_ = same_vocabulary() && width < vocabulary_;
  if (narrower_) index_ = index_of({}, {}, width, vocabulary_, device_);
  if (same_vocabulary()) return;
  const token_map::TokenMap map = fitted(*delta_.map, vocabulary_, width);
  map_ = tensor_of(map.ids, device_);
  variant_ = {{}, {}, settings_.top, settings_.unmapped, map.pooling, settings_.top_of};
  if (!map.offsets.empty()) {
    variant_.candidates = tensor_of(map.candidates, device_);
    variant_.offsets = torch::tensor(map.offsets, torch::kInt64).to(device_);
  }
  index_ = index_of(map_, variant_, width, vocabulary_, device_);
  contexts_.resize(static_cast<size_t>(settings_.slots));
}

void DeltaStream::start_caches() {
  if (!caches_.empty()) return;
  caches_.reserve(delta_.parts.size());
  for (const auto& part : delta_.parts) caches_.emplace_back(part.model, settings_.slots, settings_.initial_capacity);
}

void DeltaStream::check_ids(std::span<const int32_t> ids) const {
  const int64_t vocabulary = delta_.parts[0].model->config().vocabulary;
  for (const int32_t id : ids)
    if (id < 0 || id >= vocabulary)
      throw BadData({"delta model",
                     "has no token " + std::to_string(id) + " (its vocabulary has " + std::to_string(vocabulary) + ")",
                     same_vocabulary()
                         ? "it does not share the base's vocabulary: give its own tokenizer and a token map"
                         : "the delta's tokenizer does not belong to its model"});
}

void DeltaStream::open(int64_t slot, const std::vector<DeltaToken>& prompt) {
  const auto ids = plain_ids(prompt);
  check_ids(ids);
  start_caches();
  for (auto& cache : caches_) cache.set(slot, ids);
  if (!same_vocabulary())
    contexts_[static_cast<size_t>(slot)].emplace(base_tokenizer_, delta_.tokenizer, delta_.map, prompt);
}

void DeltaStream::append(int64_t slot, BaseToken token) {
  if (!same_vocabulary()) {
    contexts_[static_cast<size_t>(slot)]->append(token);
    return;
  }
  check_ids({&token.value, 1});
  for (auto& cache : caches_) cache.append(slot, token.value);
}

void DeltaStream::append_chosen(int64_t slot) {
  for (auto& cache : caches_) cache.append(slot, model::chosen_token);
}

void DeltaStream::close(int64_t slot) {
  for (auto& cache : caches_) cache.clear(slot);
  if (!same_vocabulary()) contexts_[static_cast<size_t>(slot)].reset();
}

void DeltaStream::settle(std::span<const int64_t> slots) {
  if (same_vocabulary()) return;
  at::parallel_for(0, std::ssize(slots), 1, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) contexts_[static_cast<size_t>(slots[static_cast<size_t>(i)])]->ids();
  });
  for (const int64_t slot : slots) {
    const auto ids = contexts_[static_cast<size_t>(slot)]->ids();
    check_ids(ids);
    for (auto& cache : caches_) cache.set(slot, ids);
  }
}

int64_t DeltaStream::unread(int64_t slot) const {
  return caches_[0].length(slot) == 0 ? 0 : caches_[0].unread(slot);
}

std::vector<model::PassPlan> DeltaStream::plan(std::span<const Portion> portions, int64_t padding) {
  std::vector<model::PassPlan> passes;
  for (auto& cache : caches_) passes.push_back(cache.plan(portions, padding));
  return passes;
}

LazyLogits DeltaStream::logits(std::span<const model::DevicePlan> passes, int64_t rows) {
  if (single_model()) return caches_[0].logits(passes[0], rows);
  std::vector<torch::Tensor> of_parts;
  for (size_t part = 0; part < caches_.size(); ++part)
    of_parts.push_back(caches_[part].logits(passes[part], rows).whole());
  return combined(std::move(of_parts));
}

void DeltaStream::advance(std::span<const Portion> portions) {
  for (auto& cache : caches_) cache.advance(portions);
}

bool DeltaStream::capturable() const {
  return std::all_of(delta_.parts.begin(), delta_.parts.end(),
                     [](const auto& part) { return part.model->capturable(); });
}

torch::Tensor DeltaStream::combined(std::vector<torch::Tensor> of_parts) const {
  if (single_model()) return std::move(of_parts[0]);
  torch::Tensor sum;
  for (size_t part = 0; part < of_parts.size(); ++part) {
    auto logits = settings_.mode == FusionMode::both_normalized ? of_parts[part].log_softmax(1) : of_parts[part];
    logits = logits * delta_.parts[part].weight;
    sum = sum.defined() ? sum.add_(logits) : logits;
  }
  return sum;
}

torch::Tensor DeltaStream::reach(const LazyLogits& logits) const {
  if (!logits.waits()) return {};
  if (measured_ != logits.matrix()) {
    measured_ = logits.matrix();
    reach_ = reach_of(*measured_, index_.columns, vocabulary_);
  }
  return reach_;
}

LogitTerm DeltaStream::term(LazyLogits logits, std::vector<int64_t> rows, std::vector<float> alphas) const {
  // Else done part by part, or already.
  const bool to_normalise = settings_.mode == FusionMode::both_normalized && single_model() && !contrasts();
  auto reached = reach(logits);
  return {std::move(logits),
          std::move(rows),
          std::move(alphas),
          map_,
          to_normalise ? Normalisation::log_softmax : Normalisation::raw,
          variant_,
          {},
          index_,
          settings_.gate,
          scaled_memory_,
          std::move(reached)};
}

}  // namespace cmc::fusion
