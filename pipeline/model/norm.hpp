#pragma once
#include "pipeline/model/norm_weights.hpp"

namespace cmc::model {

// x += branch, then its norm: the residual stream and what the next block reads of it (without a norm the stream
// itself). Without gradients x is added to in place, else replaced. Rounded to the type after the sum, as transformers
// does.
torch::Tensor add_norm(torch::Tensor& x, const Branch& branch, const Norm& norm);

}  // namespace cmc::model
