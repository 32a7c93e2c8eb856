#pragma once
#include <torch/types.h>

#include <optional>

#include "pipeline/train/fused_rows.hpp"

namespace cmc::train {

// Rows that are pulled towards a distribution: softmax(teacher − penalty · onehot(label)).
struct SoftTargetInput : FusedRows {
  torch::Tensor labels;  // [N] int64 in [0, V)
  // What the teacher has in place of `trained`; none: the fused logits themselves, without a gradient.
  std::optional<LogitTerm> teacher = {};
  double penalty = 0;  // nat; infinite: the target leaves the label out
};

struct SoftTargetOutput {
  torch::Tensor loss;        // [] Σ w_i CE(target_i, fused_i) (nat), differentiable by the fused logits alone
  torch::Tensor token_loss;  // [N] CE(target_i, fused_i), no gradient
  torch::Tensor label_loss;  // [N] cross-entropy of the label, no gradient
};

// CE-U (Yang 2025, arXiv 2503.01224: no teacher, infinite penalty) and UNDIAL (Dong et al. 2024, equation 3: the model
// before as teacher), in chunks of tokens as fused_cross_entropy does it. The gradient by the fused logits is w_i (q −
// target). Throws Internal on shapes that do not fit.
SoftTargetOutput fused_soft_target(const SoftTargetInput& input);

}  // namespace cmc::train
