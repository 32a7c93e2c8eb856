#pragma once
#include <torch/types.h>

#include "pipeline/checkpoint/model_config.hpp"

namespace cmc::model {

// Inverse frequencies [head_dim / 2] float32, as transformers' modeling_rope_utils.py computes them, for a sequence of
// `length` tokens (only dynamic NTK scaling and longrope depend on it); head_dim: what turns of a head.
torch::Tensor inverse_frequencies(const checkpoint::Rope& rope, int64_t head_dim, int64_t length);

// [2, P, head_dim / 2] float32: cosines and sines of positions [P] float32, times the attention factor.
torch::Tensor turns(const checkpoint::Rope& rope, const torch::Tensor& positions, const torch::Tensor& inverse);

}  // namespace cmc::model
