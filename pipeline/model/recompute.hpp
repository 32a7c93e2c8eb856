#pragma once
#include <torch/types.h>

#include <functional>

namespace cmc::model {

// f(x), of which only x is kept for the backward pass, which runs f once more (gradient checkpointing, Chen et al.
// 2016): the same numbers for less memory and a second forward pass. f must give the same result again. Gradients of
// the parameters that f reads are added to their `grad`, so that backward() is the way to them, not autograd::grad().
// x must require gradients.
torch::Tensor recomputed(std::function<torch::Tensor(const torch::Tensor&)> f, const torch::Tensor& x);

}  // namespace cmc::model
