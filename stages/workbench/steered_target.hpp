#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/decode/generate.hpp"
#include "pipeline/decode/score.hpp"
#include "pipeline/fusion/fused_source.hpp"
#include "pipeline/records/evaluation_parameters.hpp"
#include "pipeline/text/prompt_template.hpp"
#include "stages/workbench/workbench.hpp"

namespace cmc::stages {

// A loaded target with the deltas that steer it, asked many questions at several strengths.
class SteeredTarget {
 public:
  // `bits`: base and deltas rounded to integers of so many; 0: as they are.
  SteeredTarget(const records::Evaluation& evaluation, Workbench& bench, int bits = 0);

  const std::vector<double>& strengths() const { return strengths_; }
  const text::Tokenizer& tokenizer() const { return *tokenizer_; }
  const text::Tokenizer& delta_tokenizer() const { return *delta_tokenizers_.front(); }  // where that is another one

  // What base and deltas read before they answer, in tokens of each; a delta of the same vocabulary that is no contrast
  // reads what the base does.
  struct Prompt {
    std::vector<int32_t> base, delta;
    std::vector<int32_t> other = {};  // what a second delta reads
  };
  Prompt prompt(const text::PromptTemplate& base, const text::PromptTemplate& delta, const std::string& question) const;
  // [strength][prompt]: all strengths in one widened batch.
  std::vector<std::vector<decode::Generated>> generate(
      const std::vector<Prompt>& prompts, int64_t new_tokens,
      const std::function<void(const decode::GenerationProgress&)>& report);

  // A sequence whose tokens from `first` on are scored. What a delta of another vocabulary, or a contrast, reads:
  // `delta_prompt` (a second one: `other_prompt`) and the text scored so far; without one the text so far, of
  // `delta_tokens` where given (fusion::ForcedSequence::DeltaText).
  struct Answer {
    std::vector<int32_t> tokens;
    int64_t first = 1;
    std::vector<int32_t> delta_prompt = {};
    std::vector<int32_t> delta_tokens = {};
    bool with_vocabulary = false;  // decode::Score::vocabulary, too
    std::vector<int32_t> other_prompt = {};
  };
  // [strength][answer]
  std::vector<std::vector<decode::Score>> score(const std::vector<Answer>& answers,
                                                const std::function<void(const decode::ScoreProgress&)>& report);

  // The fused distributions of every scored token, at one strength, in chunks as LogitSource::force gives them; a
  // position's sequence counts `answers`.
  void each_distribution(const std::vector<Answer>& answers, double strength,
                         const fusion::LogitSource::TakeForced& take);

  // What has been asked so far: tokens read by the base, and operations at 2 × parameters × tokens for base and deltas
  // each.
  void add_cost(store::Unit& unit) const;

 private:
  fusion::Delta delta_of(const records::AddedDelta& added, Workbench& bench, int bits);
  fusion::Steering steering(double strength) const;
  static std::vector<fusion::ForcedSequence::DeltaText> read_beside(const Answer& answer);

  double parameters_ = 0;  // base and parts of the deltas
  int64_t tokens_ = 0;
  std::vector<double> strengths_;
  std::vector<int32_t> end_tokens_;
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  std::vector<std::shared_ptr<const text::Tokenizer>> delta_tokenizers_;  // [deltas] null: reads what the base reads
  std::unique_ptr<fusion::LogitSource> source_;
};

}  // namespace cmc::stages
