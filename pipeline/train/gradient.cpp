#include "pipeline/train/gradient.hpp"

#include "pipeline/core/error.hpp"
#include "pipeline/train/loss.hpp"

namespace cmc::train {
namespace {

std::vector<const Example*> all_examples(const MicroBatch& batch) {
  std::vector<const Example*> all = batch.examples;
  all.insert(all.end(), batch.retain.begin(), batch.retain.end());
  return all;
}

LogitTerm frozen_term(const FrozenModel& frozen, std::span<const Example* const> examples) {
  const torch::Tensor states = frozen.states ? frozen.states->states(examples) : frozen_states(*frozen.model, examples);
  return {states, frozen.model->output_weight(), frozen.coefficient, frozen.model->config().final_softcap};
}

double weighted_sum(const torch::Tensor& token_loss, int64_t first, int64_t count, double weight) {
  return count == 0 ? 0.0 : weight * token_loss.narrow(0, first, count).sum(torch::kFloat64).item<double>();
}

}  // namespace

LossWeights loss_weights(const TrainSettings& settings, const MicroBatch& batch, std::span<const MicroBatch> step) {
  int64_t examples = 0, retain = 0;
  if (settings.mean == LossMean::micro_batches) {
    examples = batch.labels_of_examples() * std::ssize(step);
    retain = batch.labels_of_retain() * std::ssize(step);
  } else {
    for (const MicroBatch& each : step) {
      examples += each.labels_of_examples();
      retain += each.labels_of_retain();
    }
  }
  const double sign = settings.objective == Objective::cross_entropy ? 1.0 : -1.0;
  return {sign / static_cast<double>(examples), retain == 0 ? 0.0 : 1.0 / static_cast<double>(retain)};
}

StepSums add_gradient(const Training& training, const MicroBatch& batch, const LossWeights& weights) {
  const model::DecoderModel& model = training.trained;
  const std::vector<const Example*> all = all_examples(batch);
  const PackedBatch packed = pack(all, model.device());
  LossInput input;
  for (const FrozenModel& frozen : training.frozen) input.frozen.push_back(frozen_term(frozen, all));
  const torch::Tensor hidden = model.hidden(packed.input, nullptr).index_select(0, packed.predicting);
  input.trained = {hidden, model.output_weight(), training.settings.alpha, model.config().final_softcap};
  input.weight_gradient = model.output_weight().grad();
  input.labels = packed.labels;
  input.memory_bytes = training.settings.loss_memory_bytes;
  const int64_t examples = batch.labels_of_examples(), retain = batch.labels_of_retain();
  input.weights = torch::empty({examples + retain}, hidden.options().requires_grad(false));
  input.weights.narrow(0, 0, examples).fill_(weights.examples);
  input.weights.narrow(0, examples, retain).fill_(weights.retain);
  const LossOutput output = fused_cross_entropy(input);
  output.loss.backward();
  const double of_examples = weighted_sum(output.token_loss, 0, examples, weights.examples);
  const double of_retain = weighted_sum(output.token_loss, examples, retain, weights.retain);
  return {.loss = of_examples + of_retain,
          .examples_loss = weights.examples < 0 ? -of_examples : of_examples,
          .retain_loss = of_retain,
          .tokens = packed.input.tokens.size(0),
          .labels = examples + retain};
}

void attach(const model::DecoderModel& model, FlatTensors& gradients) {
  expect(gradients.views().size() == model.parameters().size(), "there is a gradient for each parameter");
  for (size_t i = 0; i < gradients.views().size(); ++i) {
    torch::Tensor parameter = model.parameters()[i].second;
    parameter.mutable_grad() = gradients.views()[i];
  }
}

void detach_gradients(const model::DecoderModel& model) {
  for (const auto& [name, parameter] : model.parameters()) torch::Tensor(parameter).mutable_grad() = torch::Tensor();
}

}  // namespace cmc::train
