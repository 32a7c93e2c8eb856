#pragma once
#include <torch/types.h>

#include <vector>

#include "pipeline/model/adapter.hpp"

namespace cmc::model {

// Linear layers that read the same input, as Linear holds them, in float32 on a CPU.
struct FollowedLinear {
  torch::Tensor weight, bias;                  // of all together; bias undefined: none
  std::vector<torch::Tensor> weights, biases;  // the layers' own: rows of these
  std::vector<Adapter> adapters;               // nothing is dropped; one a layer, or none

  bool is_trained() const { return weights.front().requires_grad(); }
};

// x [N, inputs] → [N, all outputs], as autograd follows it. Where a weight or adapter has a `grad`, its gradient is
// added there in the backward pass and autograd sees none: the way to these is backward(), not autograd::grad().
torch::Tensor followed_linear(const torch::Tensor& x, const FollowedLinear& layers);

}  // namespace cmc::model
