#pragma once
#include <torch/types.h>

#include <span>
#include <vector>

#include "pipeline/model/decoder_model.hpp"
#include "pipeline/train/example.hpp"

namespace cmc::train {

// The examples in passes of at most `tokens` tokens, those of like length together, since shorter ones are padded for
// attention; at least one in each. 0: each alone, in order.
std::vector<std::vector<const Example*>> passes_of(std::span<const Example* const> examples, int64_t tokens);

// Examples packed one after the other, without padding.
struct PackedBatch {
  model::ModelInput input;
  torch::Tensor predicting;  // [L] int64 rows of the packed states that predict a label
  torch::Tensor labels;      // [L] int64
};
PackedBatch pack(std::span<const Example* const> examples, torch::Device device);

}  // namespace cmc::train
