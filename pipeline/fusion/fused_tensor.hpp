#pragma once
#include <vector>

#include "pipeline/fusion/logit_term.hpp"

namespace cmc::fusion {

// Fusion and choice by torch operations, on any device: what FusedLogits does where no kernels reach. They launch work
// and read nothing back.

// [R, V] float32: the fused sum.
torch::Tensor fused_scores(const torch::Tensor& base, Normalisation base_normalisation,
                           const std::vector<LogitTerm>& terms);

// [R] int32: each row's largest score, the lowest id among equals, or a draw by `uniforms` [R] float64; -1 where no
// score is finite. `scores`: [R, V].
torch::Tensor choice_among(const torch::Tensor& scores, const Sampling& sampling, const torch::Tensor& uniforms);

// Where a device reads a term's rows; made of its host numbers where the step has not brought them along.
Placed placed(const LogitTerm& term, int64_t rows);

}  // namespace cmc::fusion
