#pragma once
#include <torch/types.h>

namespace cmc::model {

// Root-mean-square norm (Zhang & Sennrich 2019) over the last dimension, computed in float32.
struct RmsNorm {
  torch::Tensor weight;  // [width]; undefined: no norm at this place
  double epsilon = 1e-6;
  bool adds_one = false;  // Gemma: multiplies by weight + 1, before rounding to the input's type

  explicit operator bool() const { return weight.defined(); }
  torch::Tensor operator()(const torch::Tensor& x) const;  // differentiable
};

// What a block adds to the residual stream, after a norm of its own where the model has one (Gemma 2 and 3).
struct Branch {
  torch::Tensor values;  // of the stream's size; undefined: nothing is added
  RmsNorm norm = {};

  torch::Tensor normed() const { return norm ? norm(values) : values; }  // differentiable
};

}  // namespace cmc::model
