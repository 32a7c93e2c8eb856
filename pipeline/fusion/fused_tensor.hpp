#pragma once
#include <vector>

#include "pipeline/fusion/fused_logits.hpp"

namespace cmc::fusion {

// The fused sum by torch operations, on any device: what FusedLogits does where its CPU kernels do not reach.
// [R, V] float32.
torch::Tensor fused_scores(const torch::Tensor& base, Normalisation base_normalisation,
                           const std::vector<LogitTerm>& terms);

// Position of each row's largest score, the lowest among equals. Throws BadData where a row's largest is not finite.
std::vector<BaseToken> first_maxima(const torch::Tensor& scores);

[[noreturn]] void throw_not_finite();

}  // namespace cmc::fusion
