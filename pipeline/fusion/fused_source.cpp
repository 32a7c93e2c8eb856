#include "pipeline/fusion/fused_source.hpp"

#include "pipeline/core/error.hpp"
#include "pipeline/fusion/forced_pass.hpp"
#include "pipeline/fusion/step_runner.hpp"

namespace cmc::fusion {
namespace {

class FusedSource final : public LogitSource {
 public:
  FusedSource(Base base, std::vector<Delta> deltas, const FusionSettings& settings)
      : settings_(settings), contexts_(std::move(base), std::move(deltas), settings), runner_(contexts_, settings) {}

  int64_t vocabulary() const override { return contexts_.vocabulary(); }
  int64_t slots() const override { return settings_.slots; }
  int64_t lag() const override { return settings_.lag.value_or(contexts_.base().model->device().is_cuda() ? 1 : 0); }

  void open(int64_t slot, Row row) override { contexts_.open(slot, row); }

  std::shared_ptr<Chosen> step(std::span<const Turn> turns, const Sampling& sampling) override {
    return runner_.step(turns, sampling);
  }

  void close(int64_t slot) override { contexts_.close(slot); }

  void force(std::span<const ForcedSequence> sequences, const TakeForced& take) override {
    for (const auto& sequence : sequences) {
      contexts_.check(sequence.tokens, sequence.steering);
      expect(sequence.first >= 1 && sequence.first <= static_cast<int64_t>(sequence.tokens.size()),
             "a predicted token has one before it");
    }
    runner_.forget_graphs();  // longer sequences may move the models' tables
    const FusionSettings limited = with_forced_limits(settings_, *contexts_.base().model);
    const ForcedPass pass(contexts_.base(), contexts_.deltas(), limited);
    const auto all = shared_sequences(sequences);
    const std::span<const SharedSequence> shared(all);
    for (size_t begin = 0, end = 0; begin < shared.size(); begin = end) {
      size_t tokens = 0;
      do tokens += shared[end++].tokens.size();
      while (end < shared.size() && tokens + shared[end].tokens.size() <= static_cast<size_t>(limited.forced_tokens));
      pass.run(shared.subspan(begin, end - begin), take);
    }
  }

 private:
  FusionSettings settings_;
  SteeredContexts contexts_;
  StepRunner runner_;
};

}  // namespace

std::unique_ptr<LogitSource> fused_source(Base base, std::vector<Delta> deltas, const FusionSettings& settings) {
  expect(base.model != nullptr, "the base is loaded");
  expect(
      settings.slots > 0 && settings.initial_capacity > 0 && settings.forced_tokens >= 0 && settings.forced_logits >= 0,
      "fusion settings are positive");
  expect(settings.prefill_chunk >= 0 && settings.lag.value_or(0) >= 0, "chunk and lag are not negative");
  return std::make_unique<FusedSource>(std::move(base), std::move(deltas), settings);
}

}  // namespace cmc::fusion
