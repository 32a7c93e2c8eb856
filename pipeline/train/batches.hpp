#pragma once
#include <torch/types.h>

#include <span>
#include <vector>

#include "pipeline/model/decoder_model.hpp"
#include "pipeline/train/trainer.hpp"

namespace cmc::train {

// What goes through the model at once.
struct MicroBatch {
  std::vector<const Example*> examples, refusals, retain;  // those that the objective reads, as many of each
  uint64_t dropout_seed = 0;
  std::vector<const Example*> all() const;  // in this order
};
int64_t label_count(const std::vector<const Example*>& examples);

// Micro-batches of step `step` (from 0). Each epoch goes through the examples in an order of its own; the retain
// partner of example i is (i + random) mod length, drawn anew each epoch (protocol.md). Both depend on seed, epoch and
// index alone, the seed of the adapters' dropout on seed, step and micro-batch.
std::vector<MicroBatch> batches_of_step(const TrainData& data, const TrainSettings& settings, int64_t step);

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
