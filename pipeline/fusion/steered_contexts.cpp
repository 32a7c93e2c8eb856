#include "pipeline/fusion/steered_contexts.hpp"

#include <algorithm>
#include <limits>
#include <set>
#include <string>

#include "pipeline/core/error.hpp"

namespace cmc::fusion {
namespace {

constexpr int64_t device_chunk = 512;  // tokens: a pass of so many keeps a device busy and rows that decode wait little

int64_t chunk_of(const FusionSettings& settings, torch::Device device) {
  if (settings.prefill_chunk > 0) return settings.prefill_chunk;
  return device.is_cuda() ? device_chunk : std::numeric_limits<int64_t>::max();
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
  Sequence sequence{row.steering, false, {}};
  std::erase_if(sequence.steering.terms, [](const auto& term) { return term.alpha == 0.0f; });
  for (const auto& term : sequence.steering.terms)
    delta_of(term).open(slot, prompt_of(row, static_cast<size_t>(term.delta)));
  cache_.set(slot, plain_ids(row.prompt));
  sequences_[static_cast<size_t>(slot)] = std::move(sequence);
}

void SteeredContexts::close(int64_t slot) {
  auto& sequence = sequences_.at(static_cast<size_t>(slot));
  if (!sequence) return;
  cache_.clear(slot);
  for (const auto& term : sequence->steering.terms) delta_of(term).close(slot);
  sequence.reset();
}

void SteeredContexts::append(int64_t slot, BaseToken token) {
  auto& sequence = open_sequence(slot, "a token is appended to an open slot");
  expect(token.value >= 0 && token.value < vocabulary(), "a token of the base's vocabulary");
  cache_.append(slot, token.value);
  if (tell(sequence, [&](DeltaStream& delta) { delta.append(slot, token); }))
    sequence.untold.emplace_back(std::make_shared<Chosen>(std::vector<bool>{true}, std::vector<BaseToken>{token}), 0);
}

void SteeredContexts::append(int64_t slot, std::shared_ptr<Chosen> chosen, size_t row) {
  auto& sequence = open_sequence(slot, "a token is appended to an open slot");
  cache_.append(slot, model::chosen_token);
  if (tell(sequence, [&](DeltaStream& delta) { delta.append_chosen(slot); }))
    sequence.untold.emplace_back(std::move(chosen), row);
}

bool SteeredContexts::tell(const Sequence& sequence, const std::function<void(DeltaStream&)>& append) {
  bool later = false;
  for (const auto& term : sequence.steering.terms) {
    auto& delta = delta_of(term);
    if (delta.reads_encoded())
      later = true;
    else
      append(delta);
  }
  return later;
}

StepPlan SteeredContexts::plan(std::span<const int64_t> slots, bool padded) {
  StepPlan plan;
  plan.slots.assign(slots.begin(), slots.end());
  plan.padded = padded;
  plan.decodes = !slots.empty();
  for (const int64_t slot : slots) {
    const auto& sequence = open_sequence(slot, "a step is made of open slots");
    Share share = share_of(slot);
    if (share.base > 0) plan.base.portions.push_back({slot, share.base});
    plan.whole.push_back(share.whole);
    plan.delta_tokens.push_back(std::move(share.deltas));
    plan.rows += share.whole ? 1 : 0;
    plan.decodes = plan.decodes && sequence.prompt_read && share.base == 1;
    for (const auto& term : sequence.steering.terms) plan.encodes = plan.encodes || delta_of(term).reads_encoded();
  }
  if (padded && plan.decodes) plan.padding = bucket_of(plan.rows) - plan.rows;
  if (!plan.base.portions.empty()) plan.base.passes.push_back(cache_.plan(plan.base.portions, plan.padding));
  // A graph serves contexts of any length: what is launched may not depend on the longest.
  if (padded && plan.decodes) plan.base.passes.front().shape.longest_key = cache_.capacity();
  plan_deltas(plan, false);
  return plan;
}

void SteeredContexts::plan_encoded(StepPlan& plan) {
  settle(plan.slots);
  plan_deltas(plan, true);
}

void SteeredContexts::plan_deltas(StepPlan& plan, bool encoded) {
  std::vector<DeltaReading> readings(deltas_.size());
  int64_t row = 0;
  for (size_t i = 0; i < plan.slots.size(); ++i) {
    const int64_t slot = plan.slots[i], of_row = plan.whole[i] ? row++ : -1;
    const auto& terms = sequences_[static_cast<size_t>(slot)]->steering.terms;
    for (size_t t = 0; t < terms.size(); ++t) {
      const auto& delta = delta_of(terms[t]);
      if (delta.reads_encoded() != encoded) continue;
      const int64_t tokens = plan.delta_tokens[i][t] < 0 ? delta.unread(slot) : plan.delta_tokens[i][t];
      if (tokens == 0) continue;
      auto& reading = readings[static_cast<size_t>(terms[t].delta)];
      reading.reading.portions.push_back({slot, tokens});
      if (of_row < 0) continue;
      reading.rows.push_back(of_row);
      reading.alphas.push_back(terms[t].alpha);
    }
  }
  for (size_t d = 0; d < deltas_.size(); ++d) {
    auto& reading = readings[d];
    if (reading.reading.portions.empty()) continue;
    reading.delta = d;
    const auto rows = std::ssize(reading.rows);
    const bool repeated = plan.padded && plan.decodes && !encoded;
    if (repeated) reading.padding = bucket_of(rows) - rows;
    reading.reading.passes = deltas_[d].plan(reading.reading.portions, reading.padding);
    for (auto& pass : reading.reading.passes)
      if (repeated) pass.shape.longest_key = deltas_[d].capacity();
    plan.deltas.push_back(std::move(reading));
  }
}

void SteeredContexts::advance(const StepPlan& plan) {
  cache_.advance(plan.base.portions);
  for (const auto& delta : plan.deltas) deltas_[delta.delta].advance(delta.reading.portions);
  for (size_t i = 0; i < plan.slots.size(); ++i)
    if (plan.whole[i]) sequences_[static_cast<size_t>(plan.slots[i])]->prompt_read = true;
}

bool SteeredContexts::capturable() const {
  return base_.model->capturable() &&
         std::all_of(deltas_.begin(), deltas_.end(), [](const auto& delta) { return delta.capturable(); });
}

std::vector<int64_t> SteeredContexts::capacities() const {
  std::vector<int64_t> all{cache_.capacity()};
  for (const auto& delta : deltas_) all.push_back(delta.capacity());
  return all;
}

// Base and deltas read their last portions of a prompt in the same pass, however long each one's is.
SteeredContexts::Share SteeredContexts::share_of(int64_t slot) const {
  const auto& sequence = *sequences_[static_cast<size_t>(slot)];
  const int64_t base = cache_.unread(slot);
  const auto& terms = sequence.steering.terms;
  if (sequence.prompt_read) return {base, std::vector<int64_t>(terms.size(), -1), true};
  Share share;
  int64_t left = passes(base, chunk_);
  for (const auto& term : terms) {
    share.deltas.push_back(delta_of(term).unread(slot));
    left = std::max(left, passes(share.deltas.back(), chunk_));
  }
  const auto portion = [&](int64_t tokens) { return passes(tokens, chunk_) == left ? std::min(tokens, chunk_) : 0; };
  share.base = portion(base);
  for (int64_t& tokens : share.deltas) tokens = portion(tokens);
  share.whole = left == 1;
  return share;
}

void SteeredContexts::settle(std::span<const int64_t> slots) {
  std::vector<std::vector<int64_t>> changed(deltas_.size());
  for (const int64_t slot : slots) {
    auto& sequence = *sequences_[static_cast<size_t>(slot)];
    if (sequence.untold.empty()) continue;
    for (const auto& term : sequence.steering.terms) {
      auto& delta = delta_of(term);
      if (!delta.reads_encoded()) continue;
      for (const auto& [chosen, row] : sequence.untold) delta.append(slot, chosen->tokens()[row]);
      changed[static_cast<size_t>(term.delta)].push_back(slot);
    }
    sequence.untold.clear();
  }
  for (size_t d = 0; d < deltas_.size(); ++d) deltas_[d].settle(changed[d]);
}

SteeredContexts::Sequence& SteeredContexts::open_sequence(int64_t slot, const char* contract) {
  auto& sequence = sequences_.at(static_cast<size_t>(slot));
  expect(sequence.has_value(), contract);
  return *sequence;
}

std::vector<DeltaToken> SteeredContexts::prompt_of(const Row& row, size_t delta) const {
  if (deltas_[delta].reads_own_prompt()) {
    const auto own = delta < row.delta_prompts.size() ? row.delta_prompts[delta] : std::vector<DeltaToken>();
    if (own.empty() && deltas_[delta].contrasts())
      throw BadData({"the prompt of a contrast", "has no tokens", "give some text: a distribution follows a token"});
    return own;
  }
  std::vector<DeltaToken> prompt;
  for (const auto token : row.prompt) prompt.push_back({token.value});
  return prompt;
}

void SteeredContexts::check(const std::vector<BaseToken>& tokens, const Steering& steering) const {
  if (tokens.empty()) throw BadData({"prompt", "has no tokens", "this tokenizer adds no begin token: give some text"});
  for (const auto token : tokens)
    if (token.value < 0 || token.value >= vocabulary())
      throw BadData(
          {"base model",
           "has no token " + std::to_string(token.value) + " (its vocabulary has " + std::to_string(vocabulary()) + ")",
           "the tokenizer does not belong to the model"});
  std::set<int64_t> steered;
  for (const auto& term : steering.terms) {
    if (term.alpha == 0.0f) continue;
    if (term.delta < 0 || term.delta >= std::ssize(deltas_))
      throw BadData({"delta",
                     "number " + std::to_string(term.delta) + " does not exist (the source has " +
                         std::to_string(deltas_.size()) + ")",
                     "use alpha 0 for the base alone"});
    if (!steered.insert(term.delta).second)
      throw BadData({"delta", "number " + std::to_string(term.delta) + " steers one sequence twice",
                     "add up what it is multiplied by"});
  }
}

}  // namespace cmc::fusion
