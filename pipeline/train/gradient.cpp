#include "pipeline/train/gradient.hpp"

#include "pipeline/core/error.hpp"
#include "pipeline/train/divergence.hpp"
#include "pipeline/train/loss.hpp"
#include "pipeline/train/packed_batch.hpp"

namespace cmc::train {
namespace {
using Retain = ObjectiveParts::Retain;

// One pass of the trained model: its packed tokens, and the rows of fused logits that predict their labels, micro-batch
// after micro-batch, of each first those of the examples, then of the refusals, then of the retain examples. Weights
// are 0.
struct ForwardPass {
  PackedBatch packed;
  LossInput rows;
};

ForwardPass run(const Training& training, std::span<const WeighedBatch> together) {
  const model::DecoderModel& model = training.trained;
  std::vector<const Example*> all;
  for (const WeighedBatch& each : together) {
    const std::vector<const Example*> of_batch = each.batch.all();
    all.insert(all.end(), of_batch.begin(), of_batch.end());
  }
  ForwardPass pass{pack(all, model.device()), {}};
  pass.packed.input.recompute_layers = training.settings.recompute_layers;
  pass.packed.input.dropout_seed = together.front().batch.dropout_seed;
  LossInput& rows = pass.rows;
  rows.frozen = frozen_terms(training.frozen, all);
  const torch::Tensor hidden = model.hidden(pass.packed.input, nullptr).index_select(0, pass.packed.predicting);
  rows.trained = {hidden, model.output_weight(), training.settings.alpha, model.config().final_softcap,
                  model.output_bias()};
  rows.weight_gradient = model.output_weight().grad();
  if (model.output_bias().defined()) rows.bias_gradient = model.output_bias().grad();
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

// `on_host`: float64 losses of the labels of examples and refusals.
PerSequence sequence_losses(const torch::Tensor& on_host, const MicroBatch& batch) {
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
      : batch_(batch),
        parts_(parts_of(training.settings.objective)),
        scale_{.examples = weights.examples,
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
      now =
          sequence_losses(fused_cross_entropy(rows.rows(0, count)).token_loss.to(torch::kCPU, torch::kFloat64), batch_);
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

// The loss of one micro-batch of a pass, and what is told of it.
class BatchLoss {
 public:
  // `rows`: the micro-batch's; their weights are written.
  BatchLoss(const Training& training, Reference* reference, const WeighedBatch& each, LossInput rows)
      : batch_(each.batch), weights_(each.weights), forgetting_(training, reference, each.batch, each.weights) {
    forgetting_.weigh(rows);
    retain_ = label_count(batch_.retain);
    forget_ = rows.labels.size(0) - retain_;
    rows.weights.narrow(0, forget_, retain_).fill_(weights_.retain);
    const bool diverges = parts_of(training.settings.objective).retain == Retain::divergence;
    const LossOutput output = fused_cross_entropy(diverges ? rows.rows(0, forget_) : rows);
    loss = output.loss;
    token_losses = output.token_loss;
    if (!diverges) return;
    const DivergenceOutput divergence = retain_divergence(*reference, batch_, rows.rows(forget_, retain_));
    loss = loss + divergence.loss;
    token_losses = torch::cat({token_losses, divergence.token_divergence});
  }

  // `on_host`: token_losses in float64.
  void add_to(StepSums& sums, const torch::Tensor& on_host) const {
    const PerSequence losses = sequence_losses(on_host, batch_);
    const double of_retain = weights_.retain * on_host.narrow(0, forget_, retain_).sum().item<double>();
    sums.loss += forgetting_.terms(losses).value + of_retain;
    sums.examples_loss += mean(losses.examples, weights_.examples);
    sums.refusals_loss += mean(losses.refusals, weights_.refusals);
    sums.retain_loss += of_retain;
  }

  torch::Tensor loss;  // [] differentiable
  torch::Tensor
      token_losses;  // [labels] cross-entropies; of retain examples divergences where the objective takes them

 private:
  const MicroBatch& batch_;
  LossWeights weights_;
  Forgetting forgetting_;
  int64_t forget_ = 0, retain_ = 0;  // labels
};

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

StepSums add_gradient(const Training& training, Reference* reference, std::span<const WeighedBatch> together) {
  expect(!parts_of(training.settings.objective).compares() || reference != nullptr,
         "an objective that compares has a reference");
  const ForwardPass pass = run(training, together);
  std::vector<BatchLoss> parts;
  torch::Tensor loss;
  int64_t first = 0;
  for (const WeighedBatch& each : together) {
    const int64_t labels = label_count(each.batch.all());
    parts.emplace_back(training, reference, each, together.size() == 1 ? pass.rows : pass.rows.rows(first, labels));
    loss = loss.defined() ? loss + parts.back().loss : parts.back().loss;
    first += labels;
  }
  loss.backward();
  std::vector<torch::Tensor> token_losses;
  for (const BatchLoss& part : parts) token_losses.push_back(part.token_losses);
  const torch::Tensor on_host = torch::cat(token_losses).to(torch::kCPU, torch::kFloat64);  // one copy a pass
  StepSums sums{.tokens = pass.packed.input.tokens.size(0), .labels = first};
  first = 0;
  for (const BatchLoss& part : parts) {
    part.add_to(sums, on_host.narrow(0, first, part.token_losses.size(0)));
    first += part.token_losses.size(0);
  }
  return sums;
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
