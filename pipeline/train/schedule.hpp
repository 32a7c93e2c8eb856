#pragma once
#include <cstdint>
#include <string_view>

namespace cmc::train {

// Shapes of transformers' get_scheduler: constant (after the warm-up), linear and cosine decay.
enum class ScheduleShape { constant, linear, cosine };
ScheduleShape schedule_shape(std::string_view name);  // throws BadExperiment naming the known shapes
std::string_view name_of(ScheduleShape shape);

// The longest of the three that are given wins; all zero: no warm-up.
struct Warmup {
  double ratio = 0;  // of all steps, rounded up, as transformers' TrainingArguments does
  int64_t steps = 0;
  double epochs = 0;  // of the steps of an epoch, at least one step when positive
};

int64_t warmup_steps(const Warmup& warmup, int64_t total_steps, int64_t steps_per_epoch);

// Factor on the learning rate in step `step` (from 0; the first warm-up step has factor 0, as in transformers). Linear
// and cosine decay end at `floor`, a share of the peak in [0, 1] (min_lr_rate of transformers' cosine_with_min_lr).
double learning_rate_factor(ScheduleShape shape, int64_t step, int64_t warmup, int64_t total_steps, double floor = 0);

}  // namespace cmc::train
