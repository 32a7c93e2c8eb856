#include "pipeline/train/optimizer.hpp"

#include "pipeline/core/error.hpp"

namespace cmc::train {

FlatTensors::FlatTensors(const NamedTensors& parameters, int64_t extra) {
  expect(!parameters.empty(), "a model has parameters");
  for (const auto& [name, parameter] : parameters) elements_ += parameter.numel();
  flat_ = torch::zeros({elements_ + extra}, parameters.front().second.options().requires_grad(false));
  int64_t at = 0;
  for (const auto& [name, parameter] : parameters) {
    views_.push_back(flat_.narrow(0, at, parameter.numel()).view(parameter.sizes()));
    at += parameter.numel();
  }
}

AdamW::AdamW(NamedTensors parameters, AdamWSettings settings)
    : settings_(settings), first_(parameters, 0), second_(parameters, 0) {
  for (const auto& [name, parameter] : parameters) {
    if (parameter.scalar_type() != torch::kFloat32) {
      throw BadData({name, "is not float32", "load the model that is trained in float32"});
    }
    parameters_.push_back(parameter.detach());  // shares its values; in-place updates need no autograd
    decays_.push_back(settings.decayed == DecayedWeights::all || parameter.dim() >= 2);
  }
}

void AdamW::step(FlatTensors& gradients, double learning_rate) {
  const torch::NoGradGuard no_grad;
  ++steps_;
  const torch::Tensor count = torch::full({}, static_cast<double>(steps_), first_.flat().options());
  for (const bool decays : {true, false}) {
    std::vector<torch::Tensor> values, slopes, first, second, counts;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      if (decays_[i] != decays) continue;
      values.push_back(parameters_[i]);
      slopes.push_back(gradients.views()[i]);
      first.push_back(first_.views()[i]);
      second.push_back(second_.views()[i]);
      counts.push_back(count);
    }
    if (values.empty()) continue;
    at::_fused_adamw_(values, slopes, first, second, {}, counts, learning_rate, settings_.beta1, settings_.beta2,
                      decays ? settings_.weight_decay : 0.0, settings_.epsilon, /*amsgrad=*/false, /*maximize=*/false);
  }
}

void clip_gradients(FlatTensors& gradients, double norm, double max_norm) {
  const torch::NoGradGuard no_grad;
  const double scale = max_norm / (norm + 1e-6);
  if (max_norm > 0 && scale < 1.0) gradients.values().mul_(scale);
}

}  // namespace cmc::train
