#include "pipeline/train/reference.hpp"

#include <memory>

#include "pipeline/train/loss.hpp"
#include "pipeline/train/packed_batch.hpp"

namespace cmc::train {

Reference::Reference(const Training& training)
    : frozen_(training.frozen), part_(vocabulary_part(training)), memory_bytes_(training.settings.loss_memory_bytes) {
  trained_.model = std::make_shared<const model::DecoderModel>(training.trained.snapshot());
  const HiddenStoreSettings& settings = training.settings.reference_states;
  pass_tokens_ = settings.pass_tokens ? *settings.pass_tokens : pass_tokens_for(*trained_.model);
  trained_.states = std::make_shared<HiddenStore>(trained_.model, settings);
  trained_.coefficient = training.settings.alpha;
}

std::vector<double> Reference::losses(std::span<const Example* const> examples) {
  std::vector<const Example*> missing;
  for (const Example* example : examples)
    if (losses_.try_emplace(content_key(*example)).second) missing.push_back(example);
  for (const auto& pass : passes_of(missing, pass_tokens_)) compute_losses(pass);
  std::vector<double> values;
  for (const Example* example : examples) values.push_back(losses_.at(content_key(*example)));
  return values;
}

void Reference::compute_losses(const std::vector<const Example*>& pass) {
  const torch::NoGradGuard no_grad;
  LossInput input;
  input.part = part_;
  input.frozen = frozen_terms(frozen_, pass, part_);
  input.trained = frozen_term({trained_.model, nullptr, trained_.coefficient}, pass, part_);
  input.labels = pack(pass, trained_.model->device()).labels;
  input.weights = torch::ones({input.labels.size(0)}, input.labels.options().dtype(loss_dtype(input.trained)));
  input.memory_bytes = memory_bytes_;
  const torch::Tensor losses = fused_cross_entropy(input).token_loss.to(torch::kCPU, torch::kFloat64);
  int64_t row = 0;
  for (const Example* example : pass) {
    const int64_t labels = label_count(*example);
    losses_.at(content_key(*example)) = losses.narrow(0, row, labels).sum().item<double>();
    row += labels;
  }
}

}  // namespace cmc::train
