#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/decode/generate.hpp"
#include "pipeline/decode/score.hpp"
#include "pipeline/fusion/fused_source.hpp"
#include "stages/planner.hpp"
#include "stages/workbench.hpp"

namespace cmc::stages {

// What one evaluation task asks about.
struct Evaluated {
  std::string target;
  std::string method;   // "vanilla", "cmc", "retain_only"
  Json model;           // the base: as it is, prepared, or trained by the method
  std::string delta;    // what is added; "": nothing
  std::string purpose;  // "instruct" or "unlearn"
};
// Task parameters for it: {"target", "model", "method", "strengths"}, with a delta also "delta" (its name), "delta_model",
// "delta_tokenizer", "map" (key; "" same vocabulary), "mode". Adds the tasks' inputs and residency to `task`.
void add_evaluated(Planner& planner, const Evaluated& evaluated, const std::vector<double>& strengths, dist::Task& task);

// What is evaluated, for people: "gemma vanilla", "gemma + tiny".
std::string describe(const Evaluated& evaluated);

// A loaded target with the delta that steers it, asked many questions at several strengths.
class SteeredTarget {
 public:
  SteeredTarget(const Json& parameters, Workbench& bench);

  const std::vector<double>& strengths() const { return strengths_; }
  const text::Tokenizer& tokenizer() const { return *tokenizer_; }
  bool same_vocabulary() const { return delta_tokenizer_ == nullptr; }

  // What base and delta read before they answer.
  struct Prompt { std::string base, delta; };
  // [strength][prompt]: all strengths in one widened batch.
  std::vector<std::vector<decode::Generated>> generate(const std::vector<Prompt>& prompts, int64_t new_tokens,
                                                       const std::function<void(const decode::GenerationProgress&)>& report);

  // A sequence whose tokens from `first` on are scored. What a delta of another vocabulary reads: `delta_prompt` and the
  // text scored so far; without one the text so far, of `delta_tokens` where given (fusion::ForcedSequence::DeltaText).
  struct Answer {
    std::vector<int32_t> tokens;
    int64_t first = 1;
    std::string delta_prompt = {};
    std::vector<int32_t> delta_tokens = {};
  };
  // [strength][answer]
  std::vector<std::vector<decode::Score>> score(const std::vector<Answer>& answers,
                                                const std::function<void(const decode::ScoreProgress&)>& report);

 private:
  std::vector<double> strengths_;
  std::vector<int32_t> end_tokens_;
  std::shared_ptr<const text::Tokenizer> tokenizer_, delta_tokenizer_;  // delta's: null in the same vocabulary
  std::unique_ptr<fusion::LogitSource> source_;
};

// Logs at most every ten seconds: "instruct gemma + tiny: 12/48".
std::function<void(int64_t done, int64_t total)> log_progress(const std::string& name);

}  // namespace cmc::stages
