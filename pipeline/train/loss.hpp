#pragma once
#include <torch/torch.h>

#include <vector>

namespace cmc::train {

// One summand of the fused logits: coefficient * softcap(hidden · weightᵀ).
struct LogitTerm {
  torch::Tensor hidden;  // [N, D] states after the final norm, D of its own
  torch::Tensor weight;  // [V, D] output weight
  double coefficient = 1.0;
  double final_softcap = 0;  // cap * tanh(x / cap); 0: none
};

struct LossInput {
  std::vector<LogitTerm> frozen;  // no gradient: the template (+1), for delta-unlearning also the first delta (-alpha);
                                  // empty: plain fine-tuning of the trained model
  LogitTerm trained;              // gradients flow to hidden and weight; its coefficient is alpha
  torch::Tensor labels;           // [N] int64 in [0, V)
  torch::Tensor weights;          // [N] w_i, any sign, in the dtype of trained.hidden
  // Where given, the gradient of trained.weight is added here in the forward pass, as for an upstream gradient of 1,
  // and autograd sees a constant weight: saves a second [V, D] where that is the model's largest tensor.
  torch::Tensor weight_gradient;
  int64_t memory_bytes = int64_t{128} << 20;  // the chunk of logits held at once takes at most about this much
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
// Computed in the dtype of trained.hidden (float32; float64 in tests); a frozen term of another dtype is multiplied in
// its own and then converted. Throws Internal on shapes that do not fit, and on labels outside [0, V) (checked on the
// CPU).
LossOutput fused_cross_entropy(const LossInput& input);

}  // namespace cmc::train
