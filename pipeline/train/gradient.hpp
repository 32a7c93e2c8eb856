#pragma once
#include <cstdint>
#include <span>

#include "pipeline/train/batches.hpp"
#include "pipeline/train/optimizer.hpp"
#include "pipeline/train/trainer.hpp"

namespace cmc::train {

// Sums over (part of) a step.
struct StepSums {
  double loss = 0, examples_loss = 0, retain_loss = 0;  // as in StepReport
  int64_t tokens = 0, labels = 0;
};

// What each cross-entropy of a micro-batch counts: sign / (labels it is a mean over), so that the weighted sum over all
// micro-batches of a step is the objective.
struct LossWeights {
  double examples = 0, retain = 0;
};
LossWeights loss_weights(const TrainSettings& settings, const MicroBatch& batch, std::span<const MicroBatch> step);

// Adds the micro-batch's gradient to the `grad` of the trained model's parameters.
StepSums add_gradient(const Training& training, const MicroBatch& batch, const LossWeights& weights);

// Sets each parameter's `grad` to its view, so that backward passes add to the flat tensor.
void attach(const model::DecoderModel& model, FlatTensors& gradients);
void detach_gradients(const model::DecoderModel& model);

}  // namespace cmc::train
