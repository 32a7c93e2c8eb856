#pragma once
#include <torch/types.h>

#include <optional>

#include "pipeline/train/fused_rows.hpp"

namespace cmc::train {

struct DivergenceInput : FusedRows {
  // What the reference has in place of `trained`, no gradient; none: p is uniform.
  std::optional<LogitTerm> reference;
};

struct DivergenceOutput {
  torch::Tensor loss;              // [] Σ w_i KL_i (nat), differentiable
  torch::Tensor token_divergence;  // [N] KL_i (nat), no gradient
};

// KL(p ‖ q) of two fused distributions, p = softmax(frozen + reference) and q = softmax(frozen + trained), in chunks of
// tokens as fused_cross_entropy does it. The gradient by q's logits is w_i (q − p). Throws Internal on shapes that do
// not fit.
DivergenceOutput fused_divergence(const DivergenceInput& input);

}  // namespace cmc::train
