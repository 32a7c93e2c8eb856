#pragma once
// The kernels layer's fusion and choice on tensors: each function launches one kernel on the device's current stream
// (on a CPU, as tests ask for, it runs on the host at once).
#include <torch/types.h>

#include <vector>

#include "pipeline/fusion/logit_term.hpp"

namespace cmc::fusion::device {

// Whether the kernels hold so many terms.
bool takes(const std::vector<LogitTerm>& terms);

// See FusedLogits.
void choose_into(const torch::Tensor& base, const std::vector<LogitTerm>& terms, const Draws& draws,
                 const ChoiceTarget& target);
// [R] float32 log-probability (nat) of `tokens` [R] int32.
torch::Tensor log_prob_of(const torch::Tensor& base, const std::vector<LogitTerm>& terms, const torch::Tensor& tokens);

}  // namespace cmc::fusion::device
