#pragma once
#include "pipeline/model/rms_norm.hpp"

namespace cmc::model {

// x += branch, then its norm: the residual stream and what the next block reads of it. Without gradients x is added to
// in place, else replaced. Rounded to the type after the sum, as transformers does.
torch::Tensor add_norm(torch::Tensor& x, const Branch& branch, const RmsNorm& norm);

}  // namespace cmc::model
