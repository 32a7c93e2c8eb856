#pragma once
#include <torch/types.h>

#include <cstdint>
#include <optional>

#include "pipeline/model/tensor_split.hpp"

namespace cmc::model {

// What a low-rank adapter adds to a linear layer (LoRA, Hu et al. 2021, section 4.1): scale · B A dropout(x).
struct Adapter {
  torch::Tensor a;      // [rank, inputs] float32; undefined: this layer has no adapter
  torch::Tensor b;      // [outputs, rank] float32
  double scale = 0;     // alpha / rank
  double dropout = 0;   // probability that an input is dropped
  uint64_t stream = 0;  // tells the model's adapters apart: each drops inputs of its own
  Slices columns = {};  // which of the layer's inputs x are; empty: all

  // x [N, inputs] → [N, outputs] float32. `dropout_seed`: of this pass; none: nothing is dropped. The same seed drops
  // the same inputs, so that a pass can be repeated, and ranks that hold parts of the layer drop alike.
  torch::Tensor operator()(const torch::Tensor& x, std::optional<uint64_t> dropout_seed) const;
  torch::Tensor product() const;  // scale · B A, [outputs, inputs]: what the adapter amounts to without dropout
};

}  // namespace cmc::model
