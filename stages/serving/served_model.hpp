#pragma once
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "pipeline/decode/generate.hpp"
#include "pipeline/fusion/logit_source.hpp"
#include "pipeline/text/tokenizer.hpp"
#include "stages/serving/text_pairs.hpp"

namespace cmc::stages {

// A model, alone or steered by deltas, that is asked many times.
struct ServedModel {
  std::unique_ptr<fusion::LogitSource> source;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::vector<std::shared_ptr<const text::Tokenizer>> delta_tokenizers;  // [deltas] null: in the same vocabulary
  fusion::Steering steering;
  std::vector<int32_t> end_tokens;
};

// Called often while a model computes; what it throws ends that.
using KeepOn = std::function<void()>;

struct LogLikelihood {
  double log_prob = 0.0;  // nat, sum over the continuation's tokens
  bool greedy = true;     // each of them is the most probable one
};
// Result i belongs to pairs[i]; pairs that begin alike share that beginning's passes, wherever they stand. A delta of
// another vocabulary reads the text so far (protocol, "Scoring in another vocabulary").
std::vector<LogLikelihood> log_likelihoods(const ServedModel& model, std::span<const TextPair> pairs,
                                           const KeepOn& keep_on);

struct Continuation {
  TextPair prompt;
  decode::GenerationSettings settings;  // the model's own end tokens are added
  uint64_t seed = 0;                    // of its samples
};
// Result i belongs to asked[i]; those of equal settings are generated together. A delta of another vocabulary reads the
// prompt's text in its own tokens, as log_likelihoods has it read.
std::vector<decode::Generated> continuations(const ServedModel& model, std::span<const Continuation> asked,
                                             const KeepOn& keep_on);

}  // namespace cmc::stages
