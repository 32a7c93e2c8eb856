#include "pipeline/decode/generate.hpp"

#include <algorithm>
#include <optional>

#include "pipeline/core/error.hpp"
#include "pipeline/decode/answer_text.hpp"

namespace cmc::decode {
namespace {

// The requests under way, one a slot. Closes its slots however the generation ends.
class Batch {
 public:
  Batch(fusion::LogitSource& source, std::shared_ptr<const text::Tokenizer> tokenizer,
        std::span<const GenerationRequest> requests, const GenerationSettings& settings)
      : source_(source),
        tokenizer_(std::move(tokenizer)),
        requests_(requests),
        settings_(settings),
        active_(static_cast<size_t>(source.slots())),
        results_(requests.size()),
        progress_{0, total(), 0} {}
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  ~Batch() {
    for (size_t slot = 0; slot < active_.size(); ++slot)
      if (active_[slot]) source_.close(static_cast<int64_t>(slot));
  }

  std::vector<Generated> run(const ReportGeneration& report) {
    while (progress_.finished < progress_.total) {
      refill();
      step();
      if (report) report(progress_);
    }
    return std::move(results_);
  }

 private:
  struct Active {
    size_t request;
    Random random;
    AnswerText answer;
    int64_t chosen;  // tokens so far
  };

  int64_t total() const { return static_cast<int64_t>(requests_.size()); }

  void refill() {
    for (size_t slot = 0; slot < active_.size() && waiting_ < requests_.size(); ++slot) {
      if (active_[slot]) continue;
      const auto& request = requests_[waiting_];
      source_.open(static_cast<int64_t>(slot), request.row);
      active_[slot].emplace(Active{waiting_, Random(request.seed), AnswerText(tokenizer_, settings_.stop_strings), 0});
      ++waiting_;
    }
  }

  void step() {
    std::vector<int64_t> slots;
    for (size_t slot = 0; slot < active_.size(); ++slot)
      if (active_[slot]) slots.push_back(static_cast<int64_t>(slot));
    const auto tokens = choose(source_.next(slots), slots);
    for (size_t i = 0; i < slots.size(); ++i) take(slots[i], tokens[i]);
  }

  std::vector<BaseToken> choose(const fusion::FusedLogits& logits, const std::vector<int64_t>& slots) {
    if (settings_.sampling.greedy()) return logits.argmax();
    const auto scores = logits.scores().cpu().contiguous();
    const auto width = static_cast<size_t>(logits.vocabulary());
    std::vector<BaseToken> tokens;
    for (size_t i = 0; i < slots.size(); ++i)
      tokens.push_back(sample({scores.const_data_ptr<float>() + i * width, width}, settings_.sampling,
                              active_[static_cast<size_t>(slots[i])]->random));
    return tokens;
  }

  void take(int64_t slot, BaseToken token) {
    auto& active = *active_[static_cast<size_t>(slot)];
    ++active.chosen;
    ++progress_.tokens;
    const auto& ends = settings_.end_tokens;
    if (std::find(ends.begin(), ends.end(), token.value) != ends.end()) return finish(slot, StopReason::end_token);
    if (active.answer.push(token)) return finish(slot, StopReason::stop_string);
    if (active.chosen == settings_.max_new_tokens) return finish(slot, StopReason::length);
    source_.append(slot, token);
  }

  void finish(int64_t slot, StopReason reason) {
    auto& active = active_[static_cast<size_t>(slot)];
    if (active->answer.finish()) reason = StopReason::stop_string;
    results_[active->request] = {active->answer.tokens(), active->answer.text(), reason};
    active.reset();
    source_.close(slot);
    ++progress_.finished;
  }

  fusion::LogitSource& source_;
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  std::span<const GenerationRequest> requests_;
  const GenerationSettings& settings_;
  std::vector<std::optional<Active>> active_;  // [slots]
  size_t waiting_ = 0;                         // the next request to start
  std::vector<Generated> results_;
  GenerationProgress progress_;
};

}  // namespace

std::string_view name_of(StopReason reason) {
  switch (reason) {
    case StopReason::end_token:
      return "end_token";
    case StopReason::stop_string:
      return "stop_string";
    case StopReason::length:
      return "length";
  }
  expect(false, "a stop reason has a name");
  return {};
}

std::vector<Generated> generate(fusion::LogitSource& source, const std::shared_ptr<const text::Tokenizer>& tokenizer,
                                std::span<const GenerationRequest> requests, const GenerationSettings& settings,
                                const ReportGeneration& report) {
  check(settings.sampling);
  if (settings.max_new_tokens < 0)
    throw BadExperiment({"max_new_tokens", "is negative", "give the largest number of tokens to generate"});
  if (settings.max_new_tokens == 0) return std::vector<Generated>(requests.size());
  return Batch(source, tokenizer, requests, settings).run(report);
}

}  // namespace cmc::decode
