#include "pipeline/train/training.hpp"

#include <algorithm>
#include <cmath>

#include "pipeline/core/named_enum.hpp"

namespace cmc::train {

namespace {
constexpr NamedEnum kept("weights to keep",
                         std::to_array<Named<KeptWeights>>({{KeptWeights::last, "last"}, {KeptWeights::best, "best"}}));
}  // namespace

KeptWeights kept_weights(std::string_view name) {
  return kept.named<BadExperiment>(name);
}

std::string_view name_of(KeptWeights weights) {
  return kept.name_of(weights);
}

std::optional<size_t> best_of(const std::vector<HeldOutLoss>& losses) {
  std::optional<size_t> best;
  for (size_t i = 0; i < losses.size(); ++i)
    if (!std::isnan(losses[i].loss) && (!best || losses[i].loss < losses[*best].loss)) best = i;
  return best;
}

VocabularyPart vocabulary_part(const Training& training) {
  const int64_t vocabulary = training.trained.config().vocabulary;
  if (training.trained.group().is_split()) return {training.trained.group(), vocabulary};
  for (const FrozenModel& frozen : training.frozen)
    if (frozen.model->group().is_split()) return {frozen.model->group(), vocabulary};
  return {};
}

int64_t steps_per_epoch(const TrainSettings& settings, int64_t examples) {
  const int64_t per_step = settings.batch * settings.accumulation;
  return (examples + per_step - 1) / per_step;
}

int64_t total_steps(const TrainSettings& settings, int64_t examples) {
  const int64_t all = settings.epochs * steps_per_epoch(settings, examples);
  return settings.max_steps > 0 ? std::min(settings.max_steps, all) : all;
}

TrainSettings instruction_settings() {
  return {};
}

TrainSettings unlearning_settings() {
  TrainSettings settings;
  settings.objective = Objective::grad_diff;
  settings.accumulation = 4;
  settings.epochs = 20;
  settings.learning_rate = 1e-4;
  settings.schedule = ScheduleShape::linear;
  settings.warmup = {.epochs = 1};
  settings.adamw.weight_decay = 0.01;
  return settings;
}

}  // namespace cmc::train
