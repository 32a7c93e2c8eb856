#pragma once
#include <torch/types.h>

#include <vector>

#include "pipeline/checkpoint/model_config.hpp"

namespace cmc::model {

// Rotations of one forward pass, [N, head_dim / 2] float32 each (already times the attention factor).
struct Rotation {
  torch::Tensor cosine, sine;
};

// Inverse frequencies [head_dim / 2] float32, as transformers' modeling_rope_utils.py computes them, for a sequence of
// `length` tokens (only dynamic NTK scaling depends on it).
torch::Tensor inverse_frequencies(const checkpoint::Rope& rope, int64_t head_dim, int64_t length);

// Rotation of tokens at `positions` [N]. `lengths` holds (tokens, length of their sequence) for each span: with dynamic
// NTK scaling each sequence turns by its own length, whatever else is in the batch.
Rotation rotation(const checkpoint::Rope& rope, int64_t head_dim, const torch::Tensor& positions,
                  const std::vector<std::pair<int64_t, int64_t>>& lengths);

// Rotates the halves of each head (Llama's rotate_half layout). `heads` [N, H, head_dim], any float type.
torch::Tensor rotate(const torch::Tensor& heads, const Rotation& rotation);

}  // namespace cmc::model
