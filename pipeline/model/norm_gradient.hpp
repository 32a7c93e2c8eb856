#pragma once
#include "pipeline/model/norm_weights.hpp"

namespace cmc::model {

// Whether the functions below take this norm: not one whose heads have weights of their own.
bool follows_norm(const Norm& norm);

// add_norm() of float32 rows on a CPU as autograd follows it: x becomes x + added (undefined: x stays), the result is
// the norm of that.
torch::Tensor followed_norm(torch::Tensor& x, const torch::Tensor& added, const Norm& norm);

}  // namespace cmc::model
