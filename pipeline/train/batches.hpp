#pragma once
#include <cstdint>
#include <vector>

#include "pipeline/train/training.hpp"

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

// Micro-batches of all examples in order, each beside the retain example of its place and its first refusal.
std::vector<MicroBatch> batches_in_order(const TrainData& data, const TrainSettings& settings);

}  // namespace cmc::train
