#pragma once
#include <cstdint>

#include "pipeline/kernels/fused_scores.hpp"

namespace cmc::kernels {

// out[r] = log softmax(scores of r)[tokens[r]] (nat), in one pass.
struct FusedLogProb {
  FusedScores scores;
  const int32_t* tokens = nullptr;  // [rows] below vocabulary
  float* out = nullptr;             // [rows]
};
void fused_log_prob(const FusedLogProb& arguments, const Queue& queue);

}  // namespace cmc::kernels
