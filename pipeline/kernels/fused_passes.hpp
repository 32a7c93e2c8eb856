#pragma once
#include "pipeline/kernels/fused_sum_body.hpp"
#include "pipeline/kernels/ranking_body.hpp"

// The order of the passes over fused scores. `Run` runs one body: run.template pass<Body>(arguments).
namespace cmc::kernels {

template <class Run>
void find_rank(Ranking ranking, const Run& run) {
  for (ranking.digit = 0; ranking.digit < Ranking::digits; ++ranking.digit) run.template pass<DigitBody>(ranking);
}

// What the terms' logits are relative to, which base tokens they are for, and what the others get.
template <class Run>
void prepare(const FusedScores& a, const Run& run) {
  for (int t = 0; t < a.term_count; ++t) {
    const FusedTerm& term = a.terms[t];
    if (term.log_softmax) {
      FusedScores alone;
      alone.base = term.logits;
      alone.rows = term.count;
      alone.vocabulary = term.width;
      alone.workspace = a.workspace;
      run.template pass<LogSumBody>(LogSum{{alone}, t});
    }
    if (term.top > 0) {
      const Ranking ranking{{a}, t};
      find_rank(ranking, run);
      run.template pass<LocateBody>(ranking);
    }
    if (term.unmapped != Unmapped::zero) run.template pass<FillBody>(Fill{a, t});
  }
}

template <class Run>
void choose(const FusedChoice& a, const Run& run) {
  prepare(a.scores, run);
  run.template pass<BestBody>(a);
  if (a.temperature == 0.0) return;
  const Ranking ranking{a};
  if (a.top_p < 1.0) find_rank(ranking, run);
  run.template pass<LocateBody>(ranking);
}

template <class Run>
void log_probabilities(const FusedLogProb& a, const Run& run) {
  prepare(a.scores, run);
  run.template pass<LogSumBody>(LogSum{a});
}

}  // namespace cmc::kernels
