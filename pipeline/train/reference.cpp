#include "pipeline/train/reference.hpp"

#include <memory>

#include "pipeline/train/batches.hpp"
#include "pipeline/train/loss.hpp"

namespace cmc::train {

Reference::Reference(const Training& training)
    : frozen_(training.frozen), memory_bytes_(training.settings.loss_memory_bytes) {
  trained_.model = std::make_shared<const model::DecoderModel>(training.trained.snapshot());
  trained_.states = std::make_shared<HiddenStore>(trained_.model, training.settings.reference_states);
  trained_.coefficient = training.settings.alpha;
}

std::vector<double> Reference::losses(std::span<const Example* const> examples) {
  std::vector<double> values;
  for (const Example* example : examples) {
    const auto [place, is_new] = losses_.try_emplace(content_key(*example));
    if (is_new) place->second = loss_of(*example);
    values.push_back(place->second);
  }
  return values;
}

double Reference::loss_of(const Example& example) const {
  const torch::NoGradGuard no_grad;
  const Example* const alone[] = {&example};
  LossInput input;
  input.frozen = frozen_terms(frozen_, alone);
  input.trained = frozen_term({trained_.model, nullptr, trained_.coefficient}, alone);
  input.labels = pack(alone, trained_.model->device()).labels;
  input.weights = torch::ones({input.labels.size(0)}, input.labels.options().dtype(loss_dtype(input.trained)));
  input.memory_bytes = memory_bytes_;
  return fused_cross_entropy(input).token_loss.sum(torch::kFloat64).item<double>();
}

}  // namespace cmc::train
