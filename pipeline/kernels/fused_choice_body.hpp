#pragma once
#include "pipeline/kernels/fused_body.hpp"
#include "pipeline/kernels/fused_choice.hpp"

namespace cmc::kernels {

CMC_BODY void write_choice(const FusedChoice& a, int64_t row, int32_t token) {
  a.tokens[row] = token;
  if (a.chosen != nullptr && a.slots[row] >= 0) a.chosen[a.slots[row]] = larger(token, 0);
}

// Largest score of each row, and where it is. Greedy: the choice; else what a draw's weights are relative to.
struct BestBody {
  using Arguments = FusedChoice;
  static constexpr int threads = fused_threads;
  struct Shared {
    Joined<uint64_t, threads, Largest> best;
  };
  struct Private {};

  static Grid grid(const FusedChoice& a) { return {a.scores.rows, pieces_of(a.scores.vocabulary, fused_piece)}; }
  CMC_BODY static int phases(const FusedChoice&, const Place&) { return 3; }
  CMC_BODY static void phase(int number, const FusedChoice& a, const Place& at, Shared& shared, Private&) {
    if (number == 0) shared.best.put(at.thread, best_of(a.scores, at));
    if (number == 1) shared.best.gather(at.thread);
    if (number < 2 || at.thread > 0) return;
    FusedRow& row = row_of(a.scores, at.x);
    raise_to(&row.best, shared.best.all());
    fence();
    if (!comes_last(&row.ticket, pieces_of(a.scores.vocabulary, fused_piece))) return;
    if (a.temperature == 0.0) {
      const uint64_t best = read_fresh(&row.best);
      write_choice(a, at.x, finite(best) ? id_of(best) : -1);
      row.best = 0;
    } else {
      row.key = row.equals = 0;  // where no nucleus is looked for, all are above the threshold
    }
  }

 private:
  CMC_BODY static uint64_t best_of(const FusedScores& a, const Place& at) {
    const int64_t first = at.y * fused_piece + at.thread * fused_each;
    float score[fused_each];
    fused_scores(a, a.term_count, at.x, first, score);
    uint64_t best = 0;
    for (int i = 0; i < fused_each; ++i) best = larger(best, ranked(score[i], first + i));
    return best;
  }
};

}  // namespace cmc::kernels
