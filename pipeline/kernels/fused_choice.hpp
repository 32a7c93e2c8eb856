#pragma once
#include <cstdint>

#include "pipeline/kernels/fused_scores.hpp"

namespace cmc::kernels {

// The next token of each row. Greedy: the largest score, the lowest id among equals. Or drawn from softmax(scores /
// temperature), restricted to the smallest set of most probable tokens that holds top_p (Holtzman et al. 2020; ties go
// to the lower id), in id order, as fusion::draw does.
struct FusedChoice {
  FusedScores scores;
  double temperature = 0.0;         // 0: greedy
  double top_p = 1.0;               // 1: all
  const double* uniform = nullptr;  // [rows] in [0, 1), one number a row; not read when greedy
  int32_t* tokens = nullptr;        // [rows] out; -1 where a row holds no finite score
  int32_t* chosen = nullptr;        // [slots] out: the token of row r at slots[r] (0 in place of -1); null: not wanted
  const int32_t* slots = nullptr;   // [rows]; negative: padding of the batch, not written to chosen
};
void fused_choice(const FusedChoice& arguments, const Queue& queue);

}  // namespace cmc::kernels
