#pragma once
#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "pipeline/fusion/logit_term.hpp"

namespace cmc::fusion {

// [V] float32: how far a state of length 1 can move each base token at most, by Cauchy and Schwarz: the length of the
// weights that make its logit; 0 for what is not mapped. `columns` as MapIndex has them; undefined: token by token.
torch::Tensor reach_of(const cpu::PackedMatrix& matrix, const torch::Tensor& columns, int64_t vocabulary);

// The greedy choice without the terms' logits but for a few: |alpha| · ‖state‖ · reach bounds what a term adds to a
// token, and what cannot come near the best lower bound by it is no candidate. Some tens of 49,152 tokens are left
// beside a delta of small_llms at alpha 1. The tokens [R] are those that all logits would give, -1 where a row holds no
// finite score. False, with nothing written, where it does not apply or too many candidates are left. CPU's kernels.
bool choose_by_bound(const torch::Tensor& base, const std::vector<LogitTerm>& terms, int32_t* tokens);

}  // namespace cmc::fusion
