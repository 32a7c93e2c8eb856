#include "pipeline/decode/generate.hpp"

#include <algorithm>
#include <deque>
#include <optional>

#include "pipeline/core/error.hpp"
#include "pipeline/core/random.hpp"
#include "pipeline/decode/answer_text.hpp"

namespace cmc::decode {
namespace {

// The requests under way, one a slot. Steps are started before the tokens of earlier ones are read, as many as the
// source's lag says: what a row that had ended chose in them is left unread. Closes its slots however it ends.
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
      const bool started = start_step();
      while (std::ssize(steps_) > (started ? source_.lag() : 0)) take_step();
      if (report) report(progress_);
    }
    return std::move(results_);
  }

 private:
  struct Active {
    size_t request;
    Random random;
    double uniform;  // for the next token: drawn in the order of its tokens, whatever else is in the batch
    AnswerText answer;
    int64_t asked = 0, chosen = 0;  // tokens of the steps started, and of those read
  };
  struct Row {
    int64_t slot;
    size_t request;
  };
  struct Step {
    std::shared_ptr<fusion::Chosen> chosen;
    std::vector<Row> rows;
  };

  int64_t total() const { return static_cast<int64_t>(requests_.size()); }

  void refill() {
    for (size_t slot = 0; slot < active_.size() && waiting_ < requests_.size(); ++slot) {
      if (active_[slot]) continue;
      const auto& request = requests_[waiting_];
      source_.open(static_cast<int64_t>(slot), request.row);
      Random random(request.seed);
      const double uniform = random.uniform();
      active_[slot].emplace(Active{waiting_, random, uniform, AnswerText(tokenizer_, settings_.stop_strings)});
      ++waiting_;
    }
  }

  // False when no row needs a token that is not on its way.
  bool start_step() {
    std::vector<fusion::Turn> turns;
    Step step;
    for (size_t slot = 0; slot < active_.size(); ++slot) {
      if (!active_[slot] || active_[slot]->asked == settings_.max_new_tokens) continue;
      turns.push_back({static_cast<int64_t>(slot), active_[slot]->uniform});
      step.rows.push_back({static_cast<int64_t>(slot), active_[slot]->request});
    }
    if (turns.empty()) return false;
    step.chosen = source_.step(turns, settings_.sampling);
    for (size_t i = 0; i < turns.size(); ++i) {
      if (!step.chosen->chose(i)) continue;
      auto& active = *active_[static_cast<size_t>(turns[i].slot)];
      ++active.asked;
      active.uniform = active.random.uniform();
    }
    steps_.push_back(std::move(step));
    return true;
  }

  void take_step() {
    const Step step = std::move(steps_.front());
    steps_.pop_front();
    const auto& tokens = step.chosen->tokens();
    for (size_t i = 0; i < tokens.size(); ++i) {
      const auto [slot, request] = step.rows[i];
      const auto& active = active_[static_cast<size_t>(slot)];
      if (step.chosen->chose(i) && active && active->request == request) take(slot, tokens[i]);
    }
  }

  void take(int64_t slot, BaseToken token) {
    auto& active = *active_[static_cast<size_t>(slot)];
    ++active.chosen;
    ++progress_.tokens;
    const auto& ends = settings_.end_tokens;
    if (std::find(ends.begin(), ends.end(), token.value) != ends.end()) return finish(slot, StopReason::end_token);
    if (active.answer.push(token)) return finish(slot, StopReason::stop_string);
    if (active.chosen == settings_.max_new_tokens) return finish(slot, StopReason::length);
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
  std::deque<Step> steps_;                     // started, not read yet
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

std::vector<int32_t> Generated::plain_ids() const {
  return fusion::plain_ids(tokens);
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
