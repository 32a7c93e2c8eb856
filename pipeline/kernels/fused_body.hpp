#pragma once
#include "pipeline/kernels/fused_scores.hpp"
#include "pipeline/kernels/numbers.hpp"

// What the bodies over fused scores share: a row's state, and the scores that a thread holds.
namespace cmc::kernels {

// A block takes a piece of the vocabulary, a thread some neighbours in it, so that sums by thread are sums in id order.
// Fixed, so that no result depends on the batch.
inline constexpr int fused_threads = 256, fused_each = 8, fused_piece = fused_threads * fused_each;
inline constexpr int fused_bins = 2048;

// Of those at a threshold, the ids up to `last` belong above it.
struct Threshold {
  uint32_t key;
  int32_t last;
};

// A piece's share of a row's result.
struct FusedPiece {
  double sum;       // of exponentials, or of delta logits
  uint64_t weight;  // of what lies above the threshold; how many delta logits
  uint32_t equals;  // how many lie at the threshold
  float extreme;    // largest score, or smallest delta logit
};

// One row of the workspace. `histogram` (or the pieces in its place), `best` and `ticket` are 0 between launches.
struct FusedRow {
  union {
    uint64_t histogram[fused_bins];
    FusedPiece pieces[fused_largest_vocabulary / fused_piece];
  };
  uint64_t best;    // order_of its score, then the id
  uint64_t rest;    // of what is looked for, how much is below the digits known so far
  uint32_t key;     // the threshold, as far as it is known
  uint32_t equals;  // how many at the threshold are kept
  uint32_t ticket;
  float offset[fused_largest_terms];  // log Σ exp of row r of a term's logits
  float fill[fused_largest_terms];
  Threshold above[fused_largest_terms];
};
static_assert(sizeof(FusedPiece) == 24 &&
              sizeof(FusedPiece) * (fused_largest_vocabulary / fused_piece) <= 8 * fused_bins);

CMC_BODY FusedRow& row_of(const FusedScores& a, int64_t row) {
  return static_cast<FusedRow*>(a.workspace)[row];
}

// Keys in the order of numbers; 0: NaN. Zeros are equal.
CMC_BODY uint32_t order_of(float x) {
  if (x != x) return 0;
  const uint32_t bits = bits_of(x + 0.0f);
  return bits >> 31 != 0 ? ~bits : bits | 0x80000000u;
}
CMC_BODY float of_order(uint32_t key) {
  return float_of(key >> 31 != 0 ? key & 0x7FFFFFFFu : ~key);
}

// Larger for a larger score, then for a lower id; 0 for what is no score above minus infinity.
CMC_BODY uint64_t ranked(float score, int64_t id) {
  const uint32_t key = order_of(score);
  return key <= 0x007FFFFFu ? 0 : static_cast<uint64_t>(key) << 32 | (0xFFFFFFFFu - static_cast<uint32_t>(id));
}
CMC_BODY float score_of(uint64_t ranked) {
  return of_order(static_cast<uint32_t>(ranked >> 32));
}
CMC_BODY int32_t id_of(uint64_t ranked) {
  return static_cast<int32_t>(0xFFFFFFFFu - static_cast<uint32_t>(ranked));
}
// Whether a row has a score to choose.
CMC_BODY bool finite(uint64_t ranked) {
  return ranked != 0 && score_of(ranked) < INFINITY;
}

// Writes to `logit` what base token v gets from a term's logits of its row; false: unmapped.
CMC_BODY bool mapped_logit(const FusedTerm& term, const float* logits, int64_t v, float& logit) {
  if (term.candidates != nullptr) {
    if (v >= term.mapped || term.offsets[v] == term.offsets[v + 1]) return false;
    logit = logits[term.candidates[term.offsets[v]]];
    for (int64_t i = term.offsets[v] + 1; i < term.offsets[v + 1]; ++i)
      logit = larger(logit, logits[term.candidates[i]]);
    return true;
  }
  if (term.map == nullptr) {
    if (v >= term.width) return false;
    logit = logits[v];
    return true;
  }
  if (v >= term.mapped || term.map[v] < 0) return false;
  logit = logits[term.map[v]];
  return true;
}

CMC_BODY bool is_above(const Threshold& threshold, float score, int64_t v) {
  const uint32_t key = order_of(score);
  return key > threshold.key || (key == threshold.key && v <= threshold.last);
}

// The delta's logit of base token v, normalised where asked, or false where the term's variant of the map gives it
// none.
CMC_BODY bool delta_logit(const FusedTerm& term, const FusedRow& row, int number, const float* logits, float offset,
                          float base, int64_t v, float& logit) {
  if (term.top > 0 && !is_above(row.above[number], base, v)) return false;
  if (!mapped_logit(term, logits, v, logit)) return false;
  logit -= offset;
  return true;
}

CMC_BODY int64_t row_in(const FusedTerm& term, int64_t row) {
  return term.row_of == nullptr ? row : term.row_of[row];
}

// score[i] = fused score of first + i; NaN from the end of the vocabulary on. Multiplied and added one after the other,
// as the CPU kernels do, so that equal scores are equal on both. `terms`: only the first so many.
template <int N>
CMC_BODY void fused_scores(const FusedScores& a, int terms, int64_t row, int64_t first, float (&score)[N]) {
  const float* base = a.base + row * a.vocabulary;
  float raw[N];
  if (N % 4 == 0 && first + N <= a.vocabulary && packs(base, a.vocabulary)) {
    for (int i = 0; i < N; i += 4) {
      float four[4];
      load<4>(base + first + i, four);
      for (int j = 0; j < 4; ++j) raw[(i + j) % N] = four[j];
    }
  } else {
    for (int i = 0; i < N; ++i) raw[i] = first + i < a.vocabulary ? base[first + i] : NAN;
  }
  for (int i = 0; i < N; ++i) score[i] = raw[i];
  for (int t = 0; t < terms; ++t) {
    const FusedTerm& term = a.terms[t];
    const int64_t k = row_in(term, row);
    if (k < 0) continue;
    const FusedRow& state = row_of(a, row);
    const float* logits = term.logits + k * term.width;
    const float coefficient = term.coefficients[k], offset = term.log_softmax ? row_of(a, k).offset[t] : 0.0f;
    const float fill = term.unmapped == Unmapped::zero ? 0.0f : state.fill[t];
    for (int i = 0; i < N; ++i) {
      if (first + i >= a.vocabulary) continue;
      float logit = 0.0f;
      if (!delta_logit(term, state, t, logits, offset, raw[i], first + i, logit)) logit = fill;
      score[i] += coefficient * logit;
    }
  }
}

}  // namespace cmc::kernels
