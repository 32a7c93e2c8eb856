#pragma once
#include "pipeline/kernels/fused_choice_body.hpp"

namespace cmc::kernels {

// Looks for the rank of a row's tokens at which a target is reached: the nucleus of a draw (weights: probabilities), or
// the base's most probable tokens for a term (weights: 1). Radix selection: DigitBody three times, then LocateBody.
struct Ranking {
  FusedChoice choice;
  int term = -1;  // negative: a draw
  int digit = 0;  // of the key; the first is the highest

  static constexpr int digits = 3;
  CMC_BODY bool draws() const { return term < 0; }
  CMC_BODY int shift() const { return digit == 0 ? 21 : digit == 1 ? 10 : 0; }
  CMC_BODY int bits() const { return digit == 2 ? 10 : 11; }
};

// Probabilities relative to the largest as whole numbers, whose sums do not depend on their order. What is below 2e-13
// of the largest is never drawn. 2^41: as halves of 21 bits, those of a piece sum to 32 bits each.
inline constexpr int weight_half = 21;
CMC_BODY uint64_t weight_of(const Ranking& a, const FusedRow& row, float score) {
  if (!a.draws()) return score == score ? 1 : 0;
  if (!finite(row.best) || !(score > -INFINITY)) return 0;
  const double exponent = (static_cast<double>(score) - static_cast<double>(score_of(row.best))) / a.choice.temperature;
  return static_cast<uint64_t>(exp(exponent) * 2199023255552.0 + 0.5);
}

// What is ranked: the fused scores, or the base's logits.
template <int N>
CMC_BODY void ranked_scores(const Ranking& a, int64_t row, int64_t first, float (&score)[N]) {
  fused_scores(a.choice.scores, a.draws() ? a.choice.scores.term_count : 0, row, first, score);
}

// One digit of the key at which the target is reached, from the weights by digit of the tokens that share the digits
// known so far; the highest keys come first.
struct DigitBody {
  using Arguments = Ranking;
  static constexpr int threads = fused_threads, each = fused_bins / threads;
  struct Shared {
    uint32_t low[fused_bins], high[fused_bins];  // halves of weights: 64-bit sums in shared memory are slow
    Joined<uint64_t, threads, Sum> sums;
    bool last;
  };
  struct Private {
    uint64_t weights[each];  // of this thread's digits, from the highest down
    uint64_t rest;
    uint32_t key;
  };

  static Grid grid(const Ranking& a) {
    return {a.choice.scores.rows, pieces_of(a.choice.scores.vocabulary, fused_piece)};
  }
  CMC_BODY static int phases(const Ranking&, const Place&) { return 7; }
  CMC_BODY static void phase(int number, const Ranking& a, const Place& at, Shared& shared, Private& mine) {
    FusedRow& row = row_of(a.choice.scores, at.x);
    if (number == 0)
      for (int i = at.thread; i < fused_bins; i += threads) shared.low[i] = shared.high[i] = 0;
    if (number == 1) count(a, at, row, shared);
    if (number == 2) pass_on(at, row, shared);
    if (number == 3 && at.thread == 0)
      shared.last = comes_last(&row.ticket, pieces_of(a.choice.scores.vocabulary, fused_piece));
    if (number < 4 || !shared.last) return;
    if (number == 4) take(a, at, row, shared, mine);
    if (number == 5) shared.sums.gather(at.thread);
    if (number == 6) find(a, at, row, shared, mine);
  }

 private:
  CMC_BODY static void count(const Ranking& a, const Place& at, const FusedRow& row, Shared& shared) {
    const int64_t first = at.y * fused_piece + at.thread * fused_each;
    float score[fused_each];
    ranked_scores(a, at.x, first, score);
    const int known = a.shift() + a.bits();
    for (int i = 0; i < fused_each; ++i) {
      const uint32_t key = order_of(score[i]);
      if (a.digit > 0 && key >> known != row.key >> known) continue;
      const uint64_t weight = weight_of(a, row, score[i]);
      const uint32_t digit = key >> a.shift() & ((1u << a.bits()) - 1), low = weight & ((1u << weight_half) - 1);
      if (low != 0) add_to(&shared.low[digit], low);
      if (weight >> weight_half != 0) add_to(&shared.high[digit], static_cast<uint32_t>(weight >> weight_half));
    }
  }

  CMC_BODY static void pass_on(const Place& at, FusedRow& row, const Shared& shared) {
    for (int i = at.thread; i < fused_bins; i += threads) {
      const uint64_t weight = (static_cast<uint64_t>(shared.high[i]) << weight_half) + shared.low[i];
      if (weight != 0) add_to(&row.histogram[i], weight);
    }
    fence();
  }

  // The weights of this thread's digits; the row's histogram is empty again.
  CMC_BODY static void take(const Ranking& a, const Place& at, FusedRow& row, Shared& shared, Private& mine) {
    uint64_t sum = 0;
    for (int i = 0; i < each; ++i) {
      uint64_t& bin = row.histogram[fused_bins - 1 - (at.thread * each + i)];
      sum += mine.weights[i] = read_fresh(&bin);
      bin = 0;
    }
    shared.sums.put(at.thread, sum);
    mine.key = a.digit == 0 ? 0 : row.key;
    mine.rest = row.rest;
    if (at.thread == 0 && a.digit == 0) row.key = row.equals = 0;  // all are above, where the target is never reached
  }

  CMC_BODY static uint64_t wanted(const Ranking& a, uint64_t rest, uint64_t total) {
    if (a.digit > 0) return rest;
    if (!a.draws()) return smaller(static_cast<uint64_t>(a.choice.scores.terms[a.term].top), total);
    const double enough = ceil(a.choice.top_p * static_cast<double>(total));
    return larger<uint64_t>(1, smaller(static_cast<uint64_t>(enough), total));
  }

  CMC_BODY static void find(const Ranking& a, const Place& at, FusedRow& row, Shared& shared, const Private& mine) {
    const uint64_t target = wanted(a, mine.rest, shared.sums.all());
    uint64_t before = shared.sums.before(at.thread, uint64_t{0});
    for (int i = 0; i < each; ++i) {
      const uint64_t weight = mine.weights[i];
      if (before < target && target <= before + weight) {
        const auto digit = static_cast<uint32_t>(fused_bins - 1 - (at.thread * each + i));
        row.key = mine.key | digit << a.shift();
        row.rest = target - before;
        if (a.digit + 1 == Ranking::digits) {
          const uint64_t one = weight_of(a, row, of_order(row.key));
          row.equals = static_cast<uint32_t>((target - before + one - 1) / one);
        }
      }
      before += weight;
    }
  }
};

// Walks a row's tokens in id order to where the weights of those kept (all above the threshold, and the first at it)
// pass a uniformly drawn share of their sum: the token drawn. For a term: to the last of those kept at the threshold.
struct LocateBody {
  using Arguments = Ranking;
  static constexpr int threads = fused_threads;
  struct Shared {
    Joined<uint64_t, threads, Sum> weights;
    Joined<uint32_t, threads, Sum> equals;
    uint64_t rest;           // weight to pass inside the piece
    int64_t piece;           // where it is passed; -1: nowhere
    uint32_t equals_before;  // at the threshold before the piece
    bool last;
  };
  struct Private {
    uint64_t weights[fused_each];  // 0 where not above the threshold
    uint32_t equals;               // a bit for each token at it
  };

  static Grid grid(const Ranking& a) { return DigitBody::grid(a); }
  CMC_BODY static int phases(const Ranking&, const Place&) { return 13; }
  CMC_BODY static void phase(int number, const Ranking& a, const Place& at, Shared& shared, Private& mine) {
    FusedRow& row = row_of(a.choice.scores, at.x);
    const int64_t pieces = pieces_of(a.choice.scores.vocabulary, fused_piece);
    if (number == 0) look(a, at, at.y, row, shared, mine);
    if (number == 1) gather(at.thread, shared);
    if (number == 2 && at.thread == 0) {
      row.pieces[at.y].weight = shared.weights.all();
      row.pieces[at.y].equals = shared.equals.all();
      fence();
      shared.last = comes_last(&row.ticket, pieces);
      shared.piece = -1;
    }
    if (number < 3 || !shared.last) return;
    const int64_t each = pieces_of(pieces, threads);
    const int64_t begin = smaller(pieces, at.thread * each), end = smaller(pieces, begin + each);
    if (number == 3) shared.equals.put(at.thread, equals_in(row, begin, end));
    if (number == 5) shared.weights.put(at.thread, weight_in(a, row, begin, end, shared.equals.before(at.thread, 0u)));
    if (number == 7) find_piece(a, at, row, begin, end, shared);
    if (number == 8 && shared.piece >= 0) look(a, at, shared.piece, row, shared, mine);
    if (number == 10 && shared.piece >= 0) keep(a, at, row, shared, mine);
    if (number == 4 || number == 6 || number == 9 || number == 11) gather(at.thread, shared);
    if (number == 12) find(a, at, row, shared, mine);
  }

 private:
  CMC_BODY static void gather(int thread, Shared& shared) {
    shared.weights.gather(thread);
    shared.equals.gather(thread);
  }

  // The tokens of this thread in a piece against the threshold.
  CMC_BODY static void look(const Ranking& a, const Place& at, int64_t piece, const FusedRow& row, Shared& shared,
                            Private& mine) {
    float score[fused_each];
    ranked_scores(a, at.x, piece * fused_piece + at.thread * fused_each, score);
    uint64_t sum = 0;
    uint32_t count = 0;
    mine.equals = 0;
    for (int i = 0; i < fused_each; ++i) {
      const uint32_t key = order_of(score[i]);
      mine.weights[i] = a.draws() && key > row.key ? weight_of(a, row, score[i]) : 0;
      sum += mine.weights[i];
      if (key != row.key) continue;
      mine.equals |= 1u << i;
      ++count;
    }
    shared.weights.put(at.thread, sum);
    shared.equals.put(at.thread, count);
  }

  // Of `count` tokens at the threshold, the weight of those that are kept when `before` come before them.
  CMC_BODY static uint64_t kept(const Ranking& a, const FusedRow& row, uint32_t before, uint32_t count) {
    if (before >= row.equals || count == 0) return 0;
    return smaller(count, row.equals - before) * weight_of(a, row, of_order(row.key));
  }
  CMC_BODY static uint32_t equals_in(const FusedRow& row, int64_t begin, int64_t end) {
    uint32_t equals = 0;
    for (int64_t p = begin; p < end; ++p) equals += read_fresh(&row.pieces[p].equals);
    return equals;
  }
  CMC_BODY static uint64_t weight_in(const Ranking& a, const FusedRow& row, int64_t begin, int64_t end,
                                     uint32_t before) {
    uint64_t weight = 0;
    for (int64_t p = begin; p < end; ++p) {
      const uint32_t equals = read_fresh(&row.pieces[p].equals);
      weight += read_fresh(&row.pieces[p].weight) + kept(a, row, before, equals);
      before += equals;
    }
    return weight;
  }

  // How much weight is to be passed, of `total` > 0.
  CMC_BODY static uint64_t goal(const Ranking& a, int64_t row, uint64_t total) {
    if (!a.draws()) return total - 1;
    const double share = a.choice.uniform[row] * static_cast<double>(total);
    return smaller(static_cast<uint64_t>(share), total - 1);
  }

  // The piece in which the goal is passed; the pieces are empty again.
  CMC_BODY static void find_piece(const Ranking& a, const Place& at, FusedRow& row, int64_t begin, int64_t end,
                                  Shared& shared) {
    const uint64_t total = shared.weights.all();
    uint64_t rest = total == 0 ? 0 : goal(a, at.x, total), before = shared.weights.before(at.thread, uint64_t{0});
    uint32_t equals_before = shared.equals.before(at.thread, 0u);
    for (int64_t p = begin; p < end; ++p) {
      const uint32_t equals = read_fresh(&row.pieces[p].equals);
      const uint64_t weight = read_fresh(&row.pieces[p].weight) + kept(a, row, equals_before, equals);
      if (before <= rest && rest < before + weight) {
        shared.piece = p;
        shared.rest = rest - before;
        shared.equals_before = equals_before;
      }
      before += weight;
      equals_before += equals;
      row.pieces[p] = {};
    }
  }

  // The weights of this thread's tokens with those kept at the threshold.
  CMC_BODY static void keep(const Ranking& a, const Place& at, const FusedRow& row, Shared& shared, Private& mine) {
    uint32_t before = shared.equals_before + shared.equals.before(at.thread, 0u);
    uint64_t sum = 0;
    for (int i = 0; i < fused_each; ++i) {
      if ((mine.equals >> i & 1) != 0) mine.weights[i] = kept(a, row, before++, 1);
      sum += mine.weights[i];
    }
    shared.weights.put(at.thread, sum);
  }

  CMC_BODY static void find(const Ranking& a, const Place& at, FusedRow& row, const Shared& shared,
                            const Private& mine) {
    if (at.thread == 0) row.best = 0;
    if (shared.piece < 0) {
      if (at.thread == 0) write(a, at.x, row, -1);
      return;
    }
    uint64_t before = shared.weights.before(at.thread, uint64_t{0});
    for (int i = 0; i < fused_each; ++i) {
      if (before <= shared.rest && shared.rest < before + mine.weights[i])
        write(a, at.x, row, static_cast<int32_t>(shared.piece * fused_piece + at.thread * fused_each + i));
      before += mine.weights[i];
    }
  }

  CMC_BODY static void write(const Ranking& a, int64_t number, FusedRow& row, int32_t token) {
    if (a.draws())
      write_choice(a.choice, number, token);
    else
      row.above[a.term] = {row.key, token};
  }
};

}  // namespace cmc::kernels
