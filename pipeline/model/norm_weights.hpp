#pragma once
#include <torch/types.h>

#include <vector>

#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/cpu/row_kernels.hpp"

namespace cmc::model {

// A norm over the last dimension, computed in float32.
struct Norm {
  checkpoint::NormKind kind = {};
  bool is_there = false;      // false: no norm at this place, what is given goes through
  torch::Tensor weight = {};  // [width], or of heads with weights of their own [heads, width]; undefined: none
  torch::Tensor bias = {};    // the same
  // [width] each: what `weight` (and `bias`) of heads is made of where each head's is a parameter of its own.
  std::vector<torch::Tensor> weights = {}, biases = {};

  explicit operator bool() const { return is_there; }
  torch::Tensor operator()(const torch::Tensor& x) const;  // differentiable
};

// As the loops of a CPU read it; points into its float32 tensors.
cpu::RowNorm row_norm_of(const Norm& norm);

// What a block adds to the residual stream, after a norm of its own where the model has one (Gemma 2 and 3).
struct Branch {
  torch::Tensor values;  // of the stream's size; undefined: nothing is added
  Norm norm = {};
  double scale = 1.0;

  torch::Tensor scaled() const;  // differentiable
};

}  // namespace cmc::model
