#include "pipeline/train/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "pipeline/core/named_enum.hpp"

namespace cmc::train {

namespace {
constexpr NamedEnum shapes("schedule", std::to_array<Named<ScheduleShape>>({{ScheduleShape::constant, "constant"},
                                                                            {ScheduleShape::linear, "linear"},
                                                                            {ScheduleShape::cosine, "cosine"}}));
}  // namespace

ScheduleShape schedule_shape(std::string_view name) {
  return shapes.named<BadExperiment>(name);
}

std::string_view name_of(ScheduleShape shape) {
  return shapes.name_of(shape);
}

int64_t warmup_steps(const Warmup& warmup, int64_t total_steps, int64_t steps_per_epoch) {
  const auto of_ratio = static_cast<int64_t>(std::ceil(warmup.ratio * static_cast<double>(total_steps)));
  int64_t of_epochs = 0;
  if (warmup.epochs > 0) {
    of_epochs = std::max<int64_t>(1, static_cast<int64_t>(warmup.epochs * static_cast<double>(steps_per_epoch)));
  }
  return std::max({warmup.steps, of_ratio, of_epochs});
}

double learning_rate_factor(ScheduleShape shape, int64_t step, int64_t warmup, int64_t total_steps, double floor) {
  if (step < warmup) return static_cast<double>(step) / static_cast<double>(std::max<int64_t>(1, warmup));
  const auto decaying = static_cast<double>(std::max<int64_t>(1, total_steps - warmup));
  const auto above_floor = [&](double share) { return floor + (1.0 - floor) * std::max(0.0, share); };
  switch (shape) {
    case ScheduleShape::constant:
      return 1.0;
    case ScheduleShape::linear:
      return above_floor(static_cast<double>(total_steps - step) / decaying);
    case ScheduleShape::cosine: {
      const double progress = static_cast<double>(step - warmup) / decaying;
      return above_floor(0.5 * (1.0 + std::cos(std::numbers::pi * progress)));
    }
  }
  return 1.0;
}

}  // namespace cmc::train
