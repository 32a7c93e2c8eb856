// Metrics of what is made for systems: token maps and trainings.
#include <algorithm>

#include "pipeline/records/metric.hpp"

namespace cmc::records {
namespace {

// Of the first or last tenth of the steps, at least one.
double mean_loss_of_tenth(const std::vector<StepRow>& steps, bool last) {
  if (steps.empty()) return unknown;
  const size_t n = std::max<size_t>(1, steps.size() / 10), from = last ? steps.size() - n : 0;
  std::vector<double> losses;
  for (size_t i = from; i < from + n; ++i) losses.push_back(steps[i].loss);
  return mean_figure(losses).value;
}

double median_seconds(const std::vector<StepRow>& steps) {
  if (steps.empty()) return unknown;
  std::vector<double> seconds;
  for (const auto& step : steps) seconds.push_back(step.seconds);
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::ranges::nth_element(seconds, middle);
  return *middle;
}

double tokens_per_second(const std::vector<StepRow>& steps) {
  double tokens = 0, seconds = 0;
  for (const auto& step : steps) tokens += step.tokens, seconds += step.seconds;
  return seconds > 0 ? tokens / seconds : unknown;
}

double of_best(const std::vector<HeldOutRow>& rows, double (*value)(const HeldOutRow&)) {
  const auto best = std::ranges::find(rows, 1, &HeldOutRow::best);
  return best == rows.end() ? unknown : value(*best);
}

// In percent of all tokens of the texts.
double share_in_use(const CoverageRow& row, const std::optional<int64_t>& part) {
  if (!part) return unknown;
  return 100.0 * static_cast<double>(*part) /
         static_cast<double>(*row.used_exact + *row.used_inexact + *row.used_unmapped);
}

}  // namespace

const std::vector<RowMetric<CoverageRow>>& coverage_metrics() {
  using Row = CoverageRow;
  static const std::vector<RowMetric<Row>> list = {
      {{.name = "map_tokens",
        .title = "Tokens",
        .unit = "token",
        .digits = 0,
        .aggregate = Aggregate::single,
        .definition = "tokens of the target's vocabulary"},
       [](const Row& row) { return static_cast<double>(row.exact + row.inexact + row.unmapped); }},
      {{.name = "map_exact",
        .title = "Exact",
        .unit = "token",
        .digits = 0,
        .aggregate = Aggregate::single,
        .definition = "those with an identical delta token"},
       [](const Row& row) { return static_cast<double>(row.exact); }},
      {{.name = "map_inexact",
        .title = "Inexact",
        .unit = "token",
        .digits = 0,
        .aggregate = Aggregate::single,
        .definition = "those with the prefix-related token of the smallest edit distance"},
       [](const Row& row) { return static_cast<double>(row.inexact); }},
      {{.name = "map_unmapped",
        .title = "Unmapped",
        .unit = "token",
        .digits = 0,
        .aggregate = Aggregate::single,
        .definition = "those without a delta token"},
       [](const Row& row) { return static_cast<double>(row.unmapped); }},
      {{.name = "map_share",
        .title = "Mapped, %",
        .unit = "%",
        .digits = 2,
        .aggregate = Aggregate::single,
        .definition = "tokens with a delta token"},
       [](const Row& row) {
         const auto mapped = static_cast<double>(row.exact + row.inexact),
                    total = mapped + static_cast<double>(row.unmapped);
         return 100 * mapped / total;
       }},
      {{.name = "map_used_exact",
        .title = "In use: exact, %",
        .unit = "%",
        .digits = 1,
        .aggregate = Aggregate::single,
        .definition = "of the tokens of the texts that are scored, those with an identical delta token"},
       [](const Row& row) { return share_in_use(row, row.used_exact); }},
      {{.name = "map_used_unmapped",
        .title = "In use: unmapped, %",
        .unit = "%",
        .digits = 2,
        .aggregate = Aggregate::single,
        .definition = "of these, those without a delta token"},
       [](const Row& row) { return share_in_use(row, row.used_unmapped); }}};
  return list;
}

const std::vector<RowMetric<ByteExactRow>>& byte_exact_metrics() {
  using Row = ByteExactRow;
  static const std::vector<RowMetric<Row>> list = {
      {{.name = metric::map_divergence,
        .title = "From byte-exact, nat",
        .unit = "nat",
        .better = Better::lower,
        .definition = "KL(byte-exact || mapped) of the fused distribution, mean over a text's tokens"},
       [](const Row& row) { return row.divergence / static_cast<double>(row.compared); }},
      {{.name = metric::map_same_choice,
        .title = "Same choice, %",
        .unit = "%",
        .digits = 1,
        .better = Better::higher,
        .definition = "positions where both prefer the same token"},
       [](const Row& row) {
         return 100.0 * static_cast<double>(row.same_choice) / static_cast<double>(row.compared);
       }}};
  return list;
}

const std::vector<TrainingMetric<StepRow>>& training_metrics() {
  using Steps = std::vector<StepRow>;
  static const std::vector<TrainingMetric<StepRow>> list = {
      {{.name = "steps",
        .title = "Steps",
        .unit = "1",
        .digits = 0,
        .aggregate = Aggregate::single,
        .definition = "optimiser steps",
        .over_seeds = OverSeeds::same},
       [](const Steps& steps) { return static_cast<double>(steps.size()); }},
      {{.name = "loss_first_tenth",
        .title = "Loss, first tenth",
        .unit = "nat",
        .aggregate = Aggregate::single,
        .definition = "minimised loss, mean over the first tenth of the steps"},
       [](const Steps& steps) { return mean_loss_of_tenth(steps, false); }},
      {{.name = "loss_last_tenth",
        .title = "Loss, last tenth",
        .unit = "nat",
        .aggregate = Aggregate::single,
        .definition = "minimised loss, mean over the last tenth of the steps"},
       [](const Steps& steps) { return mean_loss_of_tenth(steps, true); }},
      {{.name = "step_seconds",
        .title = "Step, s",
        .unit = "s",
        .aggregate = Aggregate::single,
        .definition = "median wall time of a step"},
       median_seconds},
      {{.name = "training_tokens_per_second",
        .title = "Tokens/s",
        .unit = "token/s",
        .digits = 1,
        .aggregate = Aggregate::single,
        .definition = "tokens read by the trained model in a second"},
       tokens_per_second}};
  return list;
}

const std::vector<TrainingMetric<HeldOutRow>>& held_out_metrics() {
  using Rows = std::vector<HeldOutRow>;
  static const std::vector<TrainingMetric<HeldOutRow>> list = {
      {{.name = "held_out_best_step",
        .title = "Best step",
        .unit = "1",
        .digits = 0,
        .aggregate = Aggregate::single,
        .definition = "optimiser steps before the evaluation with the lowest loss on the held-out examples"},
       [](const Rows& rows) { return of_best(rows, [](const HeldOutRow& row) { return double(row.step); }); }},
      {{.name = "held_out_best_loss",
        .title = "Loss, best",
        .unit = "nat",
        .aggregate = Aggregate::single,
        .definition = "what is minimised, on the held-out examples at the best step"},
       [](const Rows& rows) { return of_best(rows, [](const HeldOutRow& row) { return row.loss; }); }},
      {{.name = "held_out_best_examples_loss",
        .title = "CE of examples, best",
        .unit = "nat",
        .aggregate = Aggregate::single,
        .definition = "mean cross-entropy of the held-out examples (forget set) at the best step"},
       [](const Rows& rows) { return of_best(rows, [](const HeldOutRow& row) { return row.examples_loss; }); }},
      {{.name = "held_out_best_retain_loss",
        .title = "CE of retained, best",
        .unit = "nat",
        .aggregate = Aggregate::single,
        .definition = "mean cross-entropy of the held-out retained examples at the best step"},
       [](const Rows& rows) {
         return of_best(rows, [](const HeldOutRow& row) { return row.retain_loss != 0 ? row.retain_loss : unknown; });
       }},
      {{.name = "held_out_last_loss",
        .title = "Loss, last",
        .unit = "nat",
        .aggregate = Aggregate::single,
        .definition = "what is minimised, on the held-out examples after the last step"},
       [](const Rows& rows) { return rows.back().loss; }}};
  return list;
}

}  // namespace cmc::records
