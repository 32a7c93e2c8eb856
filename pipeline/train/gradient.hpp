#pragma once
#include <cstdint>
#include <span>

#include "pipeline/train/batches.hpp"
#include "pipeline/train/optimizer.hpp"
#include "pipeline/train/reference.hpp"
#include "pipeline/train/training.hpp"

namespace cmc::train {

// Sums over (part of) a step.
struct StepSums {
  double loss = 0, examples_loss = 0, refusals_loss = 0, retain_loss = 0;  // as in StepReport
  int64_t tokens = 0, labels = 0;
};

// What each token or sequence of a micro-batch counts, so that the sum over all micro-batches of a step is its mean:
// 1 / (labels or sequences it is a mean over); 0 where there are none.
struct LossWeights {
  double examples = 0;              // of each label's cross-entropy
  double counted = 0;               // the same as a mean over the labels that the objective counts
  double refusals = 0, retain = 0;  // of each label's cross-entropy (retain of kl: divergence)
  double sequence = 0;              // of each example's preference loss
};
LossWeights loss_weights(const TrainSettings& settings, const MicroBatch& batch, std::span<const MicroBatch> step);

// A micro-batch of a step with what it counts.
struct WeighedBatch {
  const MicroBatch& batch;
  LossWeights weights;
};

// The first of `left`, micro-batches of `step`, that go through the model together: as many as have pass_tokens tokens,
// at least one.
std::vector<WeighedBatch> next_pass(const TrainSettings& settings, int64_t pass_tokens,
                                    std::span<const MicroBatch> left, std::span<const MicroBatch> step);

// Adds the gradient of these micro-batches, which go through the model in one pass, to the `grad` of the trained
// model's parameters. `reference`: the model before, for objectives that compare with it, else null. Several are given
// only where nothing is dropped out, since each has a seed of its own.
StepSums add_gradient(const Training& training, Reference* reference, std::span<const WeighedBatch> together);
// The same sums alone: no gradient, and nothing is dropped out.
StepSums losses_of(const Training& training, Reference* reference, std::span<const WeighedBatch> together);

// Sets each trainable parameter's `grad` to its view, so that backward passes add to the flat tensor.
void attach(const model::DecoderModel& model, FlatTensors& gradients);
void detach_gradients(const model::DecoderModel& model);

}  // namespace cmc::train
