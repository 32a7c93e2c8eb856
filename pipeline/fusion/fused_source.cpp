#include "pipeline/fusion/fused_source.hpp"

#include <optional>
#include <string>

#include "pipeline/core/error.hpp"
#include "pipeline/fusion/delta_stream.hpp"
#include "pipeline/fusion/forced_pass.hpp"

namespace cmc::fusion {
namespace {

class FusedSource final : public LogitSource {
 public:
  FusedSource(Base base, std::vector<Delta> deltas, const FusionSettings& settings)
      : base_(std::move(base)),
        settings_(settings),
        cache_(base_.model, settings.slots, settings.initial_capacity),
        steering_(static_cast<size_t>(settings.slots)) {
    for (auto& delta : deltas) deltas_.emplace_back(std::move(delta), base_, settings_);
  }

  int64_t vocabulary() const override { return base_.model->config().vocabulary; }
  int64_t slots() const override { return settings_.slots; }

  void open(int64_t slot, Row row) override {
    expect(slot >= 0 && slot < slots() && !steering_[static_cast<size_t>(slot)], "a row opens in a free slot");
    check(row.prompt, row.steering);
    std::vector<int32_t> ids;
    for (const auto token : row.prompt) ids.push_back(token.value);
    if (steered(row.steering)) deltas_[static_cast<size_t>(row.steering.delta)].open(slot, row);
    cache_.set(slot, ids);
    steering_[static_cast<size_t>(slot)] = row.steering;
  }

  void append(int64_t slot, BaseToken token) override {
    const auto& steering = steering_.at(static_cast<size_t>(slot));
    expect(steering.has_value(), "a token is appended to an open slot");
    expect(token.value >= 0 && token.value < vocabulary(), "a token of the base's vocabulary");
    cache_.append(slot, token.value);
    if (steered(*steering)) deltas_[static_cast<size_t>(steering->delta)].append(slot, token);
  }

  FusedLogits next(std::span<const int64_t> slots) override {
    std::vector<std::vector<DeltaStream::Use>> uses(deltas_.size());
    for (size_t row = 0; row < slots.size(); ++row) {
      const auto& steering = steering_.at(static_cast<size_t>(slots[row]));
      expect(steering.has_value(), "logits are asked of open slots");
      if (steered(*steering))
        uses[static_cast<size_t>(steering->delta)].push_back({slots[row], static_cast<int64_t>(row), steering->alpha});
    }
    auto base = cache_.next(slots);
    std::vector<LogitTerm> terms;
    for (size_t d = 0; d < deltas_.size(); ++d)
      if (!uses[d].empty()) deltas_[d].add_terms(uses[d], terms);
    const auto normalisation = settings_.mode == FusionMode::raw_sum ? Normalisation::raw : Normalisation::log_softmax;
    return {std::move(base), normalisation, std::move(terms)};
  }

  void close(int64_t slot) override {
    auto& steering = steering_.at(static_cast<size_t>(slot));
    if (!steering) return;
    cache_.clear(slot);
    if (steered(*steering)) deltas_[static_cast<size_t>(steering->delta)].close(slot);
    steering.reset();
  }

  void force(std::span<const ForcedSequence> sequences, const TakeForced& take) override {
    for (const auto& sequence : sequences) {
      check(sequence.tokens, sequence.steering);
      expect(sequence.first >= 1 && sequence.first <= static_cast<int64_t>(sequence.tokens.size()),
             "a predicted token has one before it");
    }
    const ForcedPass pass(base_, deltas_, settings_);
    const auto all = shared_sequences(sequences);
    const std::span<const SharedSequence> shared(all);
    for (size_t begin = 0, end = 0; begin < shared.size(); begin = end) {
      size_t tokens = 0;
      do tokens += shared[end++].tokens.size();
      while (end < shared.size() && tokens + shared[end].tokens.size() <= static_cast<size_t>(settings_.forced_tokens));
      pass.run(shared.subspan(begin, end - begin), take);
    }
  }

 private:
  static bool steered(const Steering& steering) { return steering.alpha != 0.0f; }

  void check(const std::vector<BaseToken>& tokens, const Steering& steering) const {
    if (tokens.empty())
      throw BadData({"prompt", "has no tokens", "this tokenizer adds no begin token: give some text"});
    for (const auto token : tokens)
      if (token.value < 0 || token.value >= vocabulary())
        throw BadData({"base model",
                       "has no token " + std::to_string(token.value) + " (its vocabulary has " +
                           std::to_string(vocabulary()) + ")",
                       "the tokenizer does not belong to the model"});
    if (steered(steering) && (steering.delta < 0 || steering.delta >= static_cast<int64_t>(deltas_.size())))
      throw BadData({"delta",
                     "number " + std::to_string(steering.delta) + " does not exist (the source has " +
                         std::to_string(deltas_.size()) + ")",
                     "use alpha 0 for the base alone"});
  }

  Base base_;
  FusionSettings settings_;
  ContextCache cache_;
  std::vector<DeltaStream> deltas_;
  std::vector<std::optional<Steering>> steering_;  // [slots]; empty: free
};

}  // namespace

std::unique_ptr<LogitSource> fused_source(Base base, std::vector<Delta> deltas, const FusionSettings& settings) {
  expect(base.model != nullptr, "the base is loaded");
  expect(
      settings.slots > 0 && settings.initial_capacity > 0 && settings.forced_tokens > 0 && settings.forced_logits > 0,
      "fusion settings are positive");
  return std::make_unique<FusedSource>(std::move(base), std::move(deltas), settings);
}

}  // namespace cmc::fusion
