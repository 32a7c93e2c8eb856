#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "pipeline/fusion/logit_source.hpp"

namespace cmc::decode {

// An answer to be scored after a prompt; the two are tokenized apart and joined.
struct ScoreRequest {
  std::vector<BaseToken> prompt;  // not empty: something must predict the answer's first token
  std::vector<BaseToken> answer;  // may be empty: scores 0 over 0 tokens
  fusion::Steering steering = {};
  std::vector<fusion::ForcedSequence::DeltaText> deltas = {};  // tokens: of prompt and answer together
  bool with_vocabulary = false;                                // Score::vocabulary, too: passes over all logits
};

// What the whole vocabulary says where an answer's tokens stand, [answer tokens].
struct VocabularyScores {
  std::vector<int32_t> best;          // 1: the token is the most probable one
  std::vector<float> mean, variance;  // of log p under p (nat, nat²)
};

struct Score {
  double log_prob = 0.0;        // nat, sum over the answer's tokens
  std::vector<float> of_each;   // [answer tokens] nat
  VocabularyScores vocabulary;  // empty where it was not asked for
  int64_t tokens() const { return static_cast<int64_t>(of_each.size()); }
  double loss() const { return tokens() == 0 ? 0.0 : -log_prob / static_cast<double>(tokens()); }  // mean, nat
};

struct ScoreProgress {
  int64_t tokens = 0, total = 0;  // answer tokens
};
using ReportScore = std::function<void(const ScoreProgress&)>;

// Log-probabilities by teacher forcing. Throws BadData for an empty prompt and
// for a score that is not finite.
std::vector<Score> score(fusion::LogitSource& source, std::span<const ScoreRequest> requests,
                         const ReportScore& report = {});

}  // namespace cmc::decode
