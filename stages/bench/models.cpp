#include <algorithm>

#include "pipeline/core/random.hpp"
#include "pipeline/token_map/token_map.hpp"
#include "stages/bench/made_up_tokenizer.hpp"
#include "stages/bench/measurements.hpp"

namespace cmc::stages {
namespace {

using Shared = std::shared_ptr<const model::DecoderModel>;

Shared drawn(const checkpoint::ModelConfig& config, const BenchSettings& settings) {
  return std::make_shared<const model::DecoderModel>(drawn_on_device(config, 7, settings.dtype, settings.device));
}

}  // namespace

model::DecoderModel drawn_on_device(checkpoint::ModelConfig config, uint64_t seed, torch::Dtype dtype,
                                    torch::Device device) {
  config.initializer_range = 0;
  model::DecoderModel model = model::DecoderModel::random(config, 0, dtype, device);
  torch::manual_seed(seed);
  for (const auto& [name, tensor] : model.parameters())
    if (tensor.dim() == 2) torch::Tensor(tensor).normal_(0.0, 0.02);
  return model;
}

std::vector<int32_t> some_tokens(int64_t count, int64_t vocabulary, uint64_t seed) {
  Random random(seed);
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i)
    tokens.push_back(static_cast<int32_t>(random.below(static_cast<uint64_t>(vocabulary))));
  return tokens;
}

std::optional<double> goal_on_gpu(const BenchSettings& settings, double goal) {
  if (!settings.device.is_cuda()) return std::nullopt;
  return goal;
}

std::vector<fusion::Delta> BenchModels::deltas(BenchDelta which) const {
  if (which == BenchDelta::none) return {};
  fusion::Delta made = fusion::delta_model(which == BenchDelta::same ? delta : other_delta);
  if (which == BenchDelta::other) {
    made.tokenizer = other_tokenizer;
    made.map = map;
  }
  return {made};
}

BenchModels make_models(const std::string& shape, const checkpoint::ModelConfig& config,
                        const BenchSettings& settings) {
  BenchModels models;
  models.shape = shape;
  const double start = seconds_now(settings.device);
  models.base = drawn(config, settings);
  models.seconds = seconds_now(settings.device) - start;
  for (const auto& [name, tensor] : models.base->parameters()) models.bytes += static_cast<double>(tensor.nbytes());
  models.tokenizer = made_up_tokenizer(config.vocabulary, 2);
  if (settings.same) models.delta = drawn(delta_shape(config.vocabulary), settings);
  if (!settings.other) return models;
  const int64_t vocabulary = std::max<int64_t>(64, config.vocabulary * 3 / 4);
  models.other_delta = drawn(delta_shape(vocabulary), settings);
  models.other_tokenizer = made_up_tokenizer(vocabulary, 3);
  models.map = std::make_shared<const token_map::TokenMap>(token_map::make_token_map(
      *models.tokenizer, *models.other_tokenizer, token_map::Method::pm_mined, token_map::Compat::corrected));
  return models;
}

}  // namespace cmc::stages
