#pragma once
#include <cstdint>

#include "pipeline/kernels/queue.hpp"

namespace cmc::kernels {

// The delta logit of base tokens that have none: 0 (the paper's), or the smallest or mean of those that the row has.
enum class Unmapped { zero, minimum, mean };

// One delta's share of the scores: coefficient · (logits[map[v]] - log Σ exp(logits) where `log_softmax`).
struct FusedTerm {
  const float* logits = nullptr;  // [count, width]
  int64_t count = 0, width = 0;
  const int32_t* row_of = nullptr;  // [rows] the base row's row of `logits`, -1: the term is not for it; null: its own
  const float* coefficients = nullptr;  // [count] alpha
  const int32_t* map = nullptr;         // [mapped] ids below width, -1: unmapped; null: same vocabulary
  int64_t mapped = 0;                   // base tokens from here on are unmapped
  // One-to-many: v gets the largest logit of candidates[offsets[v]] … before offsets[v + 1]; an empty list: unmapped.
  const int32_t* candidates = nullptr;
  const int64_t* offsets = nullptr;  // [mapped + 1]
  int64_t top = 0;                   // only so many most probable tokens of the base have logits of their own; 0: all
  Unmapped unmapped = Unmapped::zero;
  bool log_softmax = false;  // over the delta's own vocabulary, before mapping
};

inline constexpr int fused_largest_terms = 16;

// The next-token scores of rows as a sum that is never stored: base[r][v] + Σ terms. The base is taken raw: what would
// normalise it is one number a row, which changes neither choice nor probability.
struct FusedScores {
  const float* base = nullptr;  // [rows, vocabulary]
  int64_t rows = 0, vocabulary = 0;
  FusedTerm terms[fused_largest_terms];
  int term_count = 0;
  void* workspace = nullptr;  // fused_workspace() bytes, zero before its first use; left ready for the next
};
inline constexpr int64_t fused_largest_vocabulary = 682 * 2048;  // of base and deltas

// Bytes of workspace for so many rows, or fewer.
int64_t fused_workspace(int64_t rows);

}  // namespace cmc::kernels
