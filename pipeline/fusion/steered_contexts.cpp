#include "pipeline/fusion/steered_contexts.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "pipeline/core/error.hpp"

namespace cmc::fusion {
namespace {

constexpr int64_t device_chunk = 512;  // tokens: a pass of so many keeps a device busy and rows that decode wait little

bool steered(const Steering& steering) {
  return steering.alpha != 0.0f;
}

int64_t chunk_of(const FusionSettings& settings, torch::Device device) {
  if (settings.prefill_chunk > 0) return settings.prefill_chunk;
  return device.is_cpu() ? std::numeric_limits<int64_t>::max() : device_chunk;
}

int64_t passes(int64_t tokens, int64_t chunk) {
  return tokens == 0 ? 0 : 1 + (tokens - 1) / chunk;
}

}  // namespace

SteeredContexts::SteeredContexts(Base base, std::vector<Delta> deltas, const FusionSettings& settings)
    : base_(std::move(base)),
      settings_(settings),
      chunk_(chunk_of(settings, base_.model->device())),
      cache_(base_.model, settings.slots, settings.initial_capacity),
      sequences_(static_cast<size_t>(settings.slots)) {
  for (auto& delta : deltas) deltas_.emplace_back(std::move(delta), base_, settings_);
}

void SteeredContexts::open(int64_t slot, const Row& row) {
  expect(slot >= 0 && slot < std::ssize(sequences_) && !sequences_[static_cast<size_t>(slot)],
         "a row opens in a free slot");
  check(row.prompt, row.steering);
  std::vector<int32_t> ids;
  for (const auto token : row.prompt) ids.push_back(token.value);
  Sequence sequence{row.steering, false, {}};
  if (auto* delta = delta_of(sequence)) delta->open(slot, row);
  cache_.set(slot, ids);
  sequences_[static_cast<size_t>(slot)] = std::move(sequence);
}

void SteeredContexts::close(int64_t slot) {
  auto& sequence = sequences_.at(static_cast<size_t>(slot));
  if (!sequence) return;
  cache_.clear(slot);
  if (auto* delta = delta_of(*sequence)) delta->close(slot);
  sequence.reset();
}

void SteeredContexts::append(int64_t slot, BaseToken token) {
  auto& sequence = open_sequence(slot, "a token is appended to an open slot");
  expect(token.value >= 0 && token.value < vocabulary(), "a token of the base's vocabulary");
  cache_.append(slot, token.value);
  auto* delta = delta_of(sequence);
  if (delta == nullptr) return;
  if (delta->same_vocabulary())
    delta->append(slot, token);
  else
    sequence.unsettled.push_back(token);
}

// The base's pass is under way when deltas of another vocabulary are told what was chosen before it, and encode again.
SteeredContexts::Read SteeredContexts::read(std::span<const int64_t> slots) {
  std::vector<Share> shares;
  std::vector<Portion> portions;
  std::vector<bool> whole;
  for (const int64_t slot : slots) {
    open_sequence(slot, "logits are asked of open slots");
    shares.push_back(share_of(slot));
    if (shares.back().base > 0) portions.push_back({slot, shares.back().base});
    whole.push_back(shares.back().whole);
  }
  auto base = cache_.read(portions);
  settle(slots);
  std::vector<std::vector<DeltaStream::Use>> uses(deltas_.size());
  int64_t row = 0;
  for (size_t i = 0; i < slots.size(); ++i) {
    auto& sequence = *sequences_[static_cast<size_t>(slots[i])];
    const auto* delta = delta_of(sequence);
    const int64_t tokens = delta == nullptr ? 0 : sequence.prompt_read ? delta->unread(slots[i]) : shares[i].delta;
    if (tokens > 0)
      uses[static_cast<size_t>(sequence.steering.delta)].push_back(
          {{slots[i], tokens}, shares[i].whole ? row : -1, sequence.steering.alpha});
    if (!shares[i].whole) continue;
    sequence.prompt_read = true;
    ++row;
  }
  std::vector<LogitTerm> terms;
  for (size_t d = 0; d < deltas_.size(); ++d) deltas_[d].read(uses[d], terms);
  const auto normalisation = settings_.mode == FusionMode::raw_sum ? Normalisation::raw : Normalisation::log_softmax;
  return {{std::move(base), normalisation, std::move(terms)}, std::move(whole)};
}

// Base and delta read their last portions of a prompt in the same pass, however long each one's is.
SteeredContexts::Share SteeredContexts::share_of(int64_t slot) const {
  const auto& sequence = *sequences_[static_cast<size_t>(slot)];
  const int64_t base = cache_.unread(slot);
  if (sequence.prompt_read) return {base, 0, true};
  const auto& steering = sequence.steering;
  const int64_t delta = steered(steering) ? deltas_[static_cast<size_t>(steering.delta)].unread(slot) : 0;
  const int64_t left = std::max(passes(base, chunk_), passes(delta, chunk_));
  const auto portion = [&](int64_t tokens) { return passes(tokens, chunk_) == left ? std::min(tokens, chunk_) : 0; };
  return {portion(base), portion(delta), left == 1};
}

void SteeredContexts::settle(std::span<const int64_t> slots) {
  std::vector<std::vector<int64_t>> changed(deltas_.size());
  for (const int64_t slot : slots) {
    auto& sequence = *sequences_[static_cast<size_t>(slot)];
    if (sequence.unsettled.empty()) continue;
    const auto delta = static_cast<size_t>(sequence.steering.delta);
    for (const auto token : sequence.unsettled) deltas_[delta].append(slot, token);
    sequence.unsettled.clear();
    changed[delta].push_back(slot);
  }
  for (size_t d = 0; d < deltas_.size(); ++d) deltas_[d].settle(changed[d]);
}

SteeredContexts::Sequence& SteeredContexts::open_sequence(int64_t slot, const char* contract) {
  auto& sequence = sequences_.at(static_cast<size_t>(slot));
  expect(sequence.has_value(), contract);
  return *sequence;
}

DeltaStream* SteeredContexts::delta_of(const Sequence& sequence) {
  return steered(sequence.steering) ? &deltas_[static_cast<size_t>(sequence.steering.delta)] : nullptr;
}

void SteeredContexts::check(const std::vector<BaseToken>& tokens, const Steering& steering) const {
  if (tokens.empty()) throw BadData({"prompt", "has no tokens", "this tokenizer adds no begin token: give some text"});
  for (const auto token : tokens)
    if (token.value < 0 || token.value >= vocabulary())
      throw BadData(
          {"base model",
           "has no token " + std::to_string(token.value) + " (its vocabulary has " + std::to_string(vocabulary()) + ")",
           "the tokenizer does not belong to the model"});
  if (steered(steering) && (steering.delta < 0 || steering.delta >= std::ssize(deltas_)))
    throw BadData({"delta",
                   "number " + std::to_string(steering.delta) + " does not exist (the source has " +
                       std::to_string(deltas_.size()) + ")",
                   "use alpha 0 for the base alone"});
}

}  // namespace cmc::fusion
