#include "pipeline/train/gradient.hpp"

#include "pipeline/core/error.hpp"
#include "pipeline/train/divergence.hpp"
#include "pipeline/train/loss.hpp"

namespace cmc::train {
namespace {
using Retain = ObjectiveParts::Retain;

// One pass of the trained model: its packed tokens, and the rows of fused logits that predict their labels, first those
// of the examples, then of the refusals, then of the retain examples. Weights are 0.
struct ForwardPass {
  PackedBatch packed;
  LossInput rows;
};

ForwardPass run(const Training& training, const MicroBatch& batch) {
  const model::DecoderModel& model = training.trained;
  const std::vector<const Example*> all = batch.all();
  ForwardPass pass{pack(all, model.device()), {}};
  pass.packed.input.recompute_layers = training.settings.recompute_layers;
  pass.packed.input.dropout_seed = batch.dropout_seed;
  LossInput& rows = pass.rows;
  rows.frozen = frozen_terms(training.frozen, all);
  const torch::Tensor hidden = model.hidden(pass.packed.input, nullptr).index_select(0, pass.packed.predicting);
  rows.trained = {hidden, model.output_weight(), training.settings.alpha, model.config().final_softcap};
  rows.weight_gradient = model.output_weight().grad();
  rows.labels = pass.packed.labels;
  rows.weights = torch::zeros({rows.labels.size(0)}, rows.labels.options().dtype(loss_dtype(rows.trained)));
  rows.memory_bytes = training.settings.loss_memory_bytes;
  return pass;
}

// Sums of consecutive rows, as many as each example has labels; goes on from `row`.
std::vector<double> sums_of(const torch::Tensor& losses, const std::vector<const Example*>& examples, int64_t& row) {
  std::vector<double> sums;
  for (const Example* example : examples) {
    const int64_t labels = label_count(*example);
    sums.push_back(losses.narrow(0, row, labels).sum().item<double>());
    row += labels;
  }
  return sums;
}

PerSequence sequence_losses(const torch::Tensor& token_loss, const MicroBatch& batch) {
  const torch::Tensor on_host = token_loss.to(torch::kCPU, torch::kFloat64);
  int64_t row = 0;
  PerSequence losses;
  losses.examples = sums_of(on_host, batch.examples, row);
  losses.refusals = sums_of(on_host, batch.refusals, row);
  return losses;
}

double mean(const std::vector<double>& sequence_losses, double weight) {
  double sum = 0;
  for (const double loss : sequence_losses) sum += loss;
  return weight * sum;
}

// Writes each sequence's weight to the rows of its labels; goes on from `row`.
void spread(const std::vector<double>& sequence_weights, const std::vector<const Example*>& examples, int64_t& row,
            torch::Tensor& weights) {
  for (size_t i = 0; i < examples.size(); ++i) {
    const int64_t labels = label_count(*examples[i]);
    weights.narrow(0, row, labels).fill_(sequence_weights[i]);
    row += labels;
  }
}

// The part of an objective that examples and refusals make, of one micro-batch.
class Forgetting {
 public:
  Forgetting(const Training& training, Reference* reference, const MicroBatch& batch, const LossWeights& weights)
      : batch_(batch), parts_(parts_of(training.settings.objective)), scale_{.examples = weights.examples,
                                                                             .refusals = weights.refusals,
                                                                             .sequence = weights.sequence,
                                                                             .beta = training.settings.preference_beta,
                                                                             .bound = training.settings.forget_bound} {
    for (const Example* example : batch.examples) labels_.push_back(label_count(*example));
    before_ = {std::vector<double>(batch.examples.size()), std::vector<double>(batch.refusals.size())};
    if (parts_.compares() && parts_.weighs_by_value()) {
      before_ = {reference->losses(batch.examples), reference->losses(batch.refusals)};
    }
  }

  ForgetTerms terms(const PerSequence& now) const { return forget_terms(parts_, scale_, labels_, now, before_); }

  // Where weights depend on the losses, a pass over the logits without a gradient finds these first.
  void weigh(LossInput& rows) const {
    PerSequence now = {std::vector<double>(batch_.examples.size()), std::vector<double>(batch_.refusals.size())};
    if (parts_.weighs_by_value()) {
      const torch::NoGradGuard no_grad;
      const int64_t count = label_count(batch_.examples) + label_count(batch_.refusals);
      now = sequence_losses(fused_cross_entropy(rows.rows(0, count)).token_loss, batch_);
    }
    const PerSequence weights = terms(now).label_weight;
    int64_t row = 0;
    spread(weights.examples, batch_.examples, row, rows.weights);
    spread(weights.refusals, batch_.refusals, row, rows.weights);
  }

 private:
  const MicroBatch& batch_;
  ObjectiveParts parts_;
  ForgetScale scale_;
  std::vector<int64_t> labels_;
  PerSequence before_;
};

DivergenceOutput retain_divergence(Reference& reference, const MicroBatch& batch, const LossInput& rows) {
  DivergenceInput input{static_cast<const FusedRows&>(rows), reference.term(batch.retain)};
  return fused_divergence(input);
}

}  // namespace

LossWeights loss_weights(const TrainSettings& settings, const MicroBatch& batch, std::span<const MicroBatch> step) {
  const auto share = [&](const auto& count) {
    int64_t total = 0;
    if (settings.mean == LossMean::micro_batches) {
      total = count(batch) * std::ssize(step);
    } else {
      for (const MicroBatch& each : step) total += count(each);
    }
    return total == 0 ? 0.0 : 1.0 / static_cast<double>(total);
  };
  return {.examples = share([](const MicroBatch& b) { return label_count(b.examples); }),
          .refusals = share([](const MicroBatch& b) { return label_count(b.refusals); }),
          .retain = share([](const MicroBatch& b) { return label_count(b.retain); }),
          .sequence = share([](const MicroBatch& b) { return std::ssize(b.examples); })};
}

StepSums add_gradient(const Training& training, Reference* reference, const MicroBatch& batch,
                      const LossWeights& weights) {
  const ObjectiveParts parts = parts_of(training.settings.objective);
  expect(!parts.compares() || reference != nullptr, "an objective that compares has a reference");
  ForwardPass pass = run(training, batch);
  const Forgetting forgetting(training, reference, batch, weights);
  forgetting.weigh(pass.rows);
  const int64_t retain = label_count(batch.retain), total = pass.rows.labels.size(0), forget = total - retain;
  pass.rows.weights.narrow(0, forget, retain).fill_(weights.retain);
  const bool diverges = parts.retain == Retain::divergence;
  const LossOutput output = fused_cross_entropy(diverges ? pass.rows.rows(0, forget) : pass.rows);
  torch::Tensor loss = output.loss, retain_losses;
  if (diverges) {
    const DivergenceOutput divergence = retain_divergence(*reference, batch, pass.rows.rows(forget, retain));
    loss = loss + divergence.loss;
    retain_losses = divergence.token_divergence;
  } else {
    retain_losses = output.token_loss.narrow(0, forget, retain);
  }
  loss.backward();
  const PerSequence losses = sequence_losses(output.token_loss, batch);
  const double of_retain = weights.retain * retain_losses.sum(torch::kFloat64).item<double>();
  return {.loss = forgetting.terms(losses).value + of_retain,
          .examples_loss = mean(losses.examples, weights.examples),
          .refusals_loss = mean(losses.refusals, weights.refusals),
          .retain_loss = of_retain,
          .tokens = pass.packed.input.tokens.size(0),
          .labels = total};
}

void attach(const model::DecoderModel& model, FlatTensors& gradients) {
  expect(gradients.views().size() == model.trainable().size(), "there is a gradient for each parameter");
  for (size_t i = 0; i < gradients.views().size(); ++i) {
    torch::Tensor parameter = model.trainable()[i].second;
    parameter.mutable_grad() = gradients.views()[i];
  }
}

void detach_gradients(const model::DecoderModel& model) {
  for (const auto& [name, parameter] : model.trainable()) torch::Tensor(parameter).mutable_grad() = torch::Tensor();
}

}  // namespace cmc::train
