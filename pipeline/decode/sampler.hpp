#pragma once
#include <cstdint>
#include <span>

#include "pipeline/core/ids.hpp"
#include "pipeline/core/random.hpp"

namespace cmc::decode {

struct Sampling {
  double temperature = 0.0;  // 0: greedy; else the scores are divided by it before the softmax
  double top_p = 1.0;        // smallest set of tokens with at least this probability; 1: all

  bool greedy() const { return temperature == 0.0; }
};

// Throws BadExperiment unless temperature >= 0 and 0 < top_p <= 1.
void check(const Sampling& sampling);

// Draws one token from softmax(scores / temperature) restricted to the nucleus (Holtzman et al. 2020; ties go to the
// lower id). `scores`: [V] log-probabilities or logits. Uses exactly one number of `random`.
BaseToken sample(std::span<const float> scores, const Sampling& sampling, Random& random);

}  // namespace cmc::decode
