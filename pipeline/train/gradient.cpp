#include "pipeline/train/gradient.hpp"

#include <algorithm>
#include <limits>

#include "pipeline/core/error.hpp"
#include "pipeline/train/divergence.hpp"
#include "pipeline/train/loss.hpp"
#include "pipeline/train/packed_batch.hpp"
#include "pipeline/train/soft_target.hpp"

namespace cmc::train {
namespace {

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
  const bool learns = torch::GradMode::is_enabled();
  if (learns) {
    pass.packed.input.recompute_layers = training.settings.recompute_layers;
    pass.packed.input.dropout_seed = together.front().batch.dropout_seed;
  }
  LossInput& rows = pass.rows;
  rows.part = vocabulary_part(training);
  rows.frozen = frozen_terms(training.frozen, all, rows.part);
  const torch::Tensor hidden = model.hidden(pass.packed.input, nullptr).index_select(0, pass.packed.predicting);
  rows.trained = logit_term(model, model.group().fan_out(hidden), training.settings.alpha, rows.part);
  if (learns) {
    rows.weight_gradient = rows.part.rows_of(model.output_weight().grad());
    if (model.output_bias().defined()) rows.bias_gradient = rows.part.rows_of(model.output_bias().grad());
  }
  rows.labels = pass.packed.labels;
  rows.weights = torch::zeros({rows.labels.size(0)}, rows.labels.options().dtype(loss_dtype(rows.trained)));
  rows.memory_bytes = training.settings.loss_memory_bytes;
  rows.memory = training.chunk_memory;
  return pass;
}

// Consecutive numbers, as many as each example has labels; goes on from `row`. `on_host`: float64.
std::vector<std::vector<double>> by_example(const torch::Tensor& on_host, const std::vector<const Example*>& examples,
                                            int64_t& row) {
  std::vector<std::vector<double>> split;
  for (const Example* example : examples) {
    const double* from = on_host.const_data_ptr<double>() + row;
    row += label_count(*example);
    split.emplace_back(from, on_host.const_data_ptr<double>() + row);
  }
  return split;
}

// `on_host`: float64 losses of the labels of examples and refusals.
PerLabel label_losses(const torch::Tensor& on_host, const MicroBatch& batch) {
  int64_t row = 0;
  PerLabel losses;
  losses.examples = by_example(on_host, batch.examples, row);
  losses.refusals = by_example(on_host, batch.refusals, row);
  return losses;
}

double mean(const std::vector<std::vector<double>>& label_losses, double weight) {
  double sum = 0;
  for (const auto& sequence : label_losses)
    for (const double loss : sequence) sum += loss;
  return weight * sum;
}

// The part of an objective that examples and refusals make, of one micro-batch.
class Forgetting {
 public:
  Forgetting(const Training& training, Reference* reference, const MicroBatch& batch, const LossWeights& weights)
      : batch_(batch),
        parts_(parts_of(training.settings.objective)),
        scale_{.examples = weights.counted,
               .refusals = weights.refusals,
               .sequence = weights.sequence,
               .of = training.settings.forget} {
    for (double* each : {&scale_.examples, &scale_.refusals, &scale_.sequence}) *each *= scale_.of.weight;
    if (parts_.prefers()) before_ = {reference->losses(batch.examples), reference->losses(batch.refusals)};
  }

  ForgetTerms terms(const PerLabel& now) const { return forget_terms(parts_, scale_, now, before_); }

  // Where weights depend on the losses, a pass over the logits without a gradient finds these first.
  void weigh(LossInput& rows) const {
    const int64_t count = label_count(batch_.examples) + label_count(batch_.refusals);
    torch::Tensor now = torch::zeros({count}, torch::kFloat64);
    if (parts_.weighs_by_value()) {
      const torch::NoGradGuard no_grad;
      now = fused_cross_entropy(rows.rows(0, count)).token_loss.to(torch::kCPU, torch::kFloat64);
    }
    const PerLabel weights = terms(label_losses(now, batch_)).label_weight;
    std::vector<double> in_order;
    for (const auto* part : {&weights.examples, &weights.refusals})
      for (const auto& sequence : *part) in_order.insert(in_order.end(), sequence.begin(), sequence.end());
    rows.weights.narrow(0, 0, count).copy_(torch::tensor(in_order, torch::kFloat64));
  }

 private:
  const MicroBatch& batch_;
  ObjectiveParts parts_;
  ForgetScale scale_;
  PerSequence before_;
};

// `reference`: null: from the uniform distribution.
DivergenceOutput retain_divergence(Reference* reference, const MicroBatch& batch, const LossInput& rows) {
  DivergenceInput input{static_cast<const FusedRows&>(rows), {}};
  if (reference) input.reference = reference->term(batch.retain);
  return fused_divergence(input);
}

SoftTargetOutput example_pull(const Training& training, Reference* reference, const MicroBatch& batch,
                              const LossInput& rows) {
  SoftTargetInput input{static_cast<const FusedRows&>(rows), rows.labels, {}, std::numeric_limits<double>::infinity()};
  if (parts_of(training.settings.objective).examples == ObjectiveParts::Examples::dampened) {
    input.teacher = reference->term(batch.examples);
    input.penalty = training.settings.forget.beta;
  }
  return fused_soft_target(input);
}

// The loss of one micro-batch of a pass, and what is told of it.
class BatchLoss {
 public:
  // `rows`: the micro-batch's; their weights are written.
  BatchLoss(const Training& training, Reference* reference, const WeighedBatch& each, LossInput rows)
      : batch_(each.batch),
        weights_(each.weights),
        forgetting_(training, reference, each.batch, each.weights),
        soft_(parts_of(training.settings.objective).has_soft_target()) {
    forgetting_.weigh(rows);
    retain_ = label_count(batch_.retain);
    forget_ = rows.labels.size(0) - retain_;
    rows.weights.narrow(0, forget_, retain_).fill_(weights_.retain);
    const auto parts = parts_of(training.settings.objective);
    const bool diverges = parts.diverges();
    int64_t first = 0, end = forget_ + retain_;  // rows whose labels' cross-entropies count
    torch::Tensor of_labels;
    if (soft_) {
      const auto pull = example_pull(training, reference, batch_, rows.rows(0, forget_));
      add(pull.loss, pull.token_loss);
      of_labels = pull.label_loss;
      first = forget_;
    }
    if (diverges) end = forget_;
    if (first < end) {
      const LossOutput output = fused_cross_entropy(rows.rows(first, end - first));
      add(output.loss, output.token_loss);
    }
    if (diverges) {
      const DivergenceOutput divergence = retain_divergence(
          parts.retain == ObjectiveParts::Retain::uniform ? nullptr : reference, batch_, rows.rows(forget_, retain_));
      add(divergence.loss, divergence.token_divergence);
    }
    if (soft_) token_losses = torch::cat({token_losses, of_labels});
  }

  // `on_host`: token_losses in float64.
  void add_to(StepSums& sums, const torch::Tensor& on_host) const {
    const PerLabel losses = label_losses(on_host, batch_);
    const double of_retain = weights_.retain * on_host.narrow(0, forget_, retain_).sum().item<double>();
    sums.loss += forgetting_.terms(losses).value + of_retain;
    const int64_t told = soft_ ? forget_ + retain_ : 0;
    sums.examples_loss += mean(label_losses(on_host.narrow(0, told, forget_), batch_).examples, weights_.examples);
    sums.refusals_loss += mean(losses.refusals, weights_.refusals);
    sums.retain_loss += of_retain;
  }

  torch::Tensor loss;  // [] differentiable
  // [labels] cross-entropies; of retain examples divergences and of examples those to a target where the objective
  // takes them. Behind these, of such examples, the cross-entropies of their labels.
  torch::Tensor token_losses;

 private:
  void add(const torch::Tensor& part, const torch::Tensor& of_tokens) {
    loss = loss.defined() ? loss + part : part;
    token_losses = token_losses.defined() ? torch::cat({token_losses, of_tokens}) : of_tokens;
  }

  const MicroBatch& batch_;
  LossWeights weights_;
  Forgetting forgetting_;
  bool soft_;
  int64_t forget_ = 0, retain_ = 0;  // labels
};

// The losses of the micro-batches of one pass.
class PassLoss {
 public:
  PassLoss(const Training& training, Reference* reference, std::span<const WeighedBatch> together)
      : pass_(run(training, together)) {
    expect(!parts_of(training.settings.objective).compares() || reference != nullptr,
           "an objective that compares has a reference");
    int64_t first = 0;
    for (const WeighedBatch& each : together) {
      const int64_t labels = label_count(each.batch.all());
      parts_.emplace_back(training, reference, each,
                          together.size() == 1 ? pass_.rows : pass_.rows.rows(first, labels));
      loss = loss.defined() ? loss + parts_.back().loss : parts_.back().loss;
      first += labels;
    }
  }

  StepSums sums() const {
    std::vector<torch::Tensor> token_losses;
    for (const BatchLoss& part : parts_) token_losses.push_back(part.token_losses);
    const torch::Tensor on_host = torch::cat(token_losses).to(torch::kCPU, torch::kFloat64);  // one copy a pass
    StepSums sums{.tokens = pass_.packed.input.tokens.size(0), .labels = pass_.rows.labels.size(0)};
    int64_t first = 0;
    for (const BatchLoss& part : parts_) {
      part.add_to(sums, on_host.narrow(0, first, part.token_losses.size(0)));
      first += part.token_losses.size(0);
    }
    return sums;
  }

  torch::Tensor loss;  // [] differentiable where gradients are on

 private:
  ForwardPass pass_;
  std::vector<BatchLoss> parts_;
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
  const bool all = parts_of(settings.objective).examples != ObjectiveParts::Examples::without_label;
  const auto counted = [&](const MicroBatch& b) {
    int64_t labels = 0;
    for (const Example* each : b.examples)
      labels += std::max<int64_t>(0, label_count(*each) - (all ? 0 : settings.forget.skipped));
    return labels;
  };
  return {.examples = share([](const MicroBatch& b) { return label_count(b.examples); }),
          .counted = share(counted),
          .refusals = share([](const MicroBatch& b) { return label_count(b.refusals); }),
          .retain = share([](const MicroBatch& b) { return label_count(b.retain); }),
          .sequence = share([](const MicroBatch& b) { return std::ssize(b.examples); })};
}

std::vector<WeighedBatch> next_pass(const TrainSettings& settings, int64_t pass_tokens,
                                    std::span<const MicroBatch> left, std::span<const MicroBatch> step) {
  std::vector<WeighedBatch> pass;
  int64_t tokens = 0;
  for (const MicroBatch& batch : left) {
    for (const Example* example : batch.all()) tokens += std::ssize(example->tokens);
    if (!pass.empty() && tokens > pass_tokens) break;
    pass.push_back({batch, loss_weights(settings, batch, step)});
  }
  return pass;
}

StepSums add_gradient(const Training& training, Reference* reference, std::span<const WeighedBatch> together) {
  const PassLoss pass(training, reference, together);
  pass.loss.backward();
  return pass.sums();
}

StepSums losses_of(const Training& training, Reference* reference, std::span<const WeighedBatch> together) {
  const torch::NoGradGuard no_grad;
  return PassLoss(training, reference, together).sums();
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
