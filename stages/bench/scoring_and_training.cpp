#include <algorithm>

#include "pipeline/decode/score.hpp"
#include "pipeline/train/trainer.hpp"
#include "stages/bench/measurements.hpp"

namespace cmc::stages {
namespace {

// As many sequences as fill the device a few times over, of at least this many tokens in all.
int64_t sequences_of(const BenchSettings& settings, int64_t tokens_each) {
  const int64_t tokens = settings.device.is_cuda() ? 65536 : 2048;
  return std::max<int64_t>(1, tokens / tokens_each);
}

void add_rate(const std::string& name, double operations, const Spread& seconds, const Machine& machine,
              std::optional<double> goal, std::vector<Measure>& measures) {
  Measure measure = rate(name, operations / 1e12, seconds, "TFLOP/s");
  measure.fraction = operations / seconds.median / machine.matmul;
  measure.fraction_of = "matmul rate";
  measure.goal = goal;
  measures.push_back(measure);
}

train::TrainData examples_of(const BenchModels& models, int64_t count, int64_t tokens, int64_t labels) {
  train::TrainData data;
  for (int64_t i = 0; i < count; ++i) {
    auto ids = some_tokens(tokens, models.base->config().vocabulary, static_cast<uint64_t>(1000 + i));
    std::vector<int32_t> marked(ids.size(), train::ignored_label);
    std::copy(ids.end() - labels, ids.end(), marked.end() - labels);
    data.examples.push_back({std::move(ids), std::move(marked)});
  }
  return data;
}

}  // namespace

void measure_scoring(const BenchModels& models, const Machine& machine, const BenchSettings& settings,
                     std::vector<Measure>& measures) {
  const auto& config = models.base->config();
  const int64_t tokens = std::max<int64_t>(2, settings.context), answer = std::max<int64_t>(1, tokens / 4);
  const int64_t count = sequences_of(settings, tokens);
  std::vector<decode::ScoreRequest> requests;
  for (int64_t i = 0; i < count; ++i) {
    const auto ids =
        fusion::tokens_of<BaseToken>(some_tokens(tokens, config.vocabulary, static_cast<uint64_t>(100 + i)));
    requests.push_back({{ids.begin(), ids.end() - answer}, {ids.end() - answer, ids.end()}, {}});
  }
  fusion::FusionSettings fusion;
  fusion.slots = fusion.initial_capacity = 1;
  const auto source = fusion::fused_source(models.fusion_base(), {}, fusion);
  const Spread seconds = timed(settings.device, 1, 3, [&] { decode::score(*source, requests); });
  // The last token of a sequence is predicted and not read.
  const double operations =
      static_cast<double>(count) *
      footprint_of(config).operations(config, static_cast<double>(tokens - 1), static_cast<double>(answer));
  add_rate("scoring, answers of " + std::to_string(answer), operations, seconds, machine, goal_on_gpu(settings, 0.6),
           measures);
}

void measure_training(const BenchModels& models, const Machine& machine, const BenchSettings& settings,
                      std::vector<Measure>& measures) {
  const auto& config = models.base->config();
  const int64_t tokens = std::clamp<int64_t>(settings.context, 8, 256), labels = tokens * 3 / 4;
  train::TrainSettings training;
  training.batch = 4;
  training.accumulation = std::max<int64_t>(1, sequences_of(settings, tokens) / training.batch);
  training.epochs = 6;  // the first makes the states, the others use them
  const train::TrainData data = examples_of(models, training.batch * training.accumulation, tokens, labels);
  auto delta = drawn_on_device(delta_shape(config.vocabulary), 11, torch::kFloat32, settings.device);
  std::vector<train::FrozenModel> frozen = {
      {models.base, std::make_shared<train::HiddenStore>(models.base, train::HiddenStoreSettings{}), 1.0}};
  std::vector<double> steps;
  const auto reports = train::train({.trained = delta,
                                     .frozen = frozen,
                                     .data = data,
                                     .settings = training,
                                     .group = {},
                                     .checkpoints = {},
                                     .identity = "bench",
                                     .report = {},
                                     .stop = {}})
                           .steps;
  for (size_t i = 1; i < reports.size(); ++i) steps.push_back(reports[i].seconds);
  const Spread step = spread_of(steps);
  const auto count = static_cast<double>(std::ssize(data.examples)), predicted = count * static_cast<double>(labels);
  // A step multiplies the base's states by its output once, the delta's once forward and twice back.
  const double output =
      predicted * (2 * footprint_of(config).output_weights + 6 * footprint_of(delta.config()).output_weights);
  add_rate("output layers of a delta's training step", output, step, machine, std::nullopt, measures);
  measures.push_back(rate("delta training, states kept", count, step, "examples/s"));
  const double making = reports.front().seconds - step.median;
  if (making <= 0) return;
  const double read = count * footprint_of(config).operations(config, static_cast<double>(tokens), 0);
  add_rate("states to keep", read, {making, making, making}, machine, goal_on_gpu(settings, 0.6), measures);
}

}  // namespace cmc::stages
