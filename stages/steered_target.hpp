#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/decode/generate.hpp"
#include "pipeline/decode/score.hpp"
#include "pipeline/fusion/fused_source.hpp"
#include "pipeline/text/prompt_template.hpp"
#include "stages/planner.hpp"
#include "stages/workbench.hpp"

namespace cmc::stages {

// What one evaluation task asks about: a target by a method.
//   vanilla            the target as it is (unlearning: after it was prepared on TOFU)
//   cmc                + alpha · delta
//   proxy_tuning       + alpha · (expert − start)                (instructions)
//   delta_unlearning   + alpha · (offset − start)                (unlearning)
//   lora, full         the target itself fine-tuned, nothing added
//   retain_only        the target prepared without what is to be forgotten
struct Evaluated {
  std::string target, method;
  Json model;           // the base
  std::string delta;    // what is added; "": nothing
  std::string purpose;  // "instruct" or "unlearn"
  // Of what is added: fusion mode and token map (paper, Table 4); in another vocabulary also what unmapped tokens get, and
  // how many of the base's tokens one_to_many is for (0: all).
  std::string mode = {}, map_method = {}, unmapped = {};
  int64_t top = 0;
  bool is_variant = false;  // an ablation: measured at the strength nearest to 1 alone
};
// The systems that the experiment's methods.<purpose> and deltas.<purpose> make of a target.
std::vector<Evaluated> systems_on(Planner& planner, const std::string& target, const std::string& purpose);

// Task parameters for it: {"target", "model", "method", "strengths"}, with a delta also "delta" (its name), "parts" (models and
// their weights), "delta_tokenizer", "map" (key; "" same vocabulary), "map_method", "mode", in another vocabulary "unmapped" and
// "top". Adds the tasks' inputs and residency to `task`.
void add_evaluated(Planner& planner, const Evaluated& evaluated, const std::vector<double>& strengths, distributed::Task& task);

// What is evaluated, for people: "gemma vanilla", "gemma + tiny".
std::string describe(const Evaluated& evaluated);

// A loaded target with the delta that steers it, asked many questions at several strengths.
class SteeredTarget {
 public:
  SteeredTarget(const Json& parameters, Workbench& bench);

  const std::vector<double>& strengths() const { return strengths_; }
  const text::Tokenizer& tokenizer() const { return *tokenizer_; }
  bool same_vocabulary() const { return delta_tokenizer_ == nullptr; }

  // What base and delta read before they answer, in tokens of each; a delta of the same vocabulary reads what the base does.
  struct Prompt { std::vector<int32_t> base, delta; };
  Prompt prompt(const text::PromptTemplate& base, const text::PromptTemplate& delta, const std::string& question) const;
  // [strength][prompt]: all strengths in one widened batch.
  std::vector<std::vector<decode::Generated>> generate(const std::vector<Prompt>& prompts, int64_t new_tokens,
                                                       const std::function<void(const decode::GenerationProgress&)>& report);

  // A sequence whose tokens from `first` on are scored. What a delta of another vocabulary reads: `delta_prompt` and the
  // text scored so far; without one the text so far, of `delta_tokens` where given (fusion::ForcedSequence::DeltaText).
  struct Answer {
    std::vector<int32_t> tokens;
    int64_t first = 1;
    std::vector<int32_t> delta_prompt = {};
    std::vector<int32_t> delta_tokens = {};
  };
  // [strength][answer]
  std::vector<std::vector<decode::Score>> score(const std::vector<Answer>& answers,
                                                const std::function<void(const decode::ScoreProgress&)>& report);

  // What has been asked so far: tokens read by the base, and operations at 2 × parameters × tokens for base and delta each.
  void add_cost(store::Unit& unit) const;

 private:
  double parameters_ = 0;  // base and parts of the delta
  int64_t tokens_ = 0;
  std::vector<double> strengths_;
  std::vector<int32_t> end_tokens_;
  std::shared_ptr<const text::Tokenizer> tokenizer_, delta_tokenizer_;  // delta's: null in the same vocabulary
  std::unique_ptr<fusion::LogitSource> source_;
};

}  // namespace cmc::stages
