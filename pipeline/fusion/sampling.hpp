#pragma once
#include <span>

#include "pipeline/core/ids.hpp"

namespace cmc::fusion {

// How a token is chosen among a row's scores.
struct Sampling {
  double temperature = 0.0;  // 0: greedy; else the scores are divided by it before the softmax
  double top_p = 1.0;        // smallest set of tokens with at least this probability; 1: all

  bool greedy() const { return temperature == 0.0; }
};

// Throws BadExperiment unless temperature >= 0 and 0 < top_p <= 1.
void check(const Sampling& sampling);

// Draws one token from softmax(scores / temperature) restricted to the nucleus (Holtzman et al. 2020; ties go to the
// lower id). `scores`: [V] log-probabilities or logits; `uniform` in [0, 1) decides. Throws BadData where no score is
// finite.
BaseToken draw(std::span<const float> scores, const Sampling& sampling, double uniform);

}  // namespace cmc::fusion
