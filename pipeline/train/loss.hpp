#pragma once
#include <torch/types.h>

#include "pipeline/train/fused_rows.hpp"

namespace cmc::train {

struct LossInput : FusedRows {
  torch::Tensor labels;  // [N] int64 in [0, V)

  LossInput rows(int64_t first, int64_t count) const;
};

struct LossOutput {
  torch::Tensor loss;        // [] Σ w_i CE_i (nat), differentiable
  torch::Tensor token_loss;  // [N] CE_i (nat), no gradient
};

// Cross-entropy of the fused logits (paper, section 3; protocol.md "Training"), in chunks of tokens: never more than
// memory_bytes of logits, whatever N. The gradient is taken in closed form, w_i (softmax − onehot), in the forward
// pass.
//
// The fusion modes base_normalized, both_normalized and raw_sum are one loss here: in one vocabulary they differ by a
// constant per position, which cross-entropy cancels. So do their gradients. Hence there is no mode to choose.
//
// Computed in loss_dtype(); a term of another dtype is multiplied in its own and then converted. Throws Internal on
// shapes that do not fit, and on labels outside [0, V) (checked on the CPU).
LossOutput fused_cross_entropy(const LossInput& input);

}  // namespace cmc::train
