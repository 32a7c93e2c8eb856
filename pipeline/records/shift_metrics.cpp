// Metrics of logit shifts: stage similarity.
#include "pipeline/records/metric.hpp"

namespace cmc::records {

const std::vector<RowMetric<ShiftRow>>& shift_metrics() {
  using Row = ShiftRow;
  constexpr std::string_view cloud =
                                 "Sinkhorn divergence (p 2, blur 0.01, debiased) of both models' shifts, points: steps",
                             line = "the same, points: tokens; mean over steps",
                             pearson = "Pearson correlation of both models' shifts",
                             square = "mean squared difference of both models' shifts";
  static const std::vector<RowMetric<Row>> list = {
      {{.name = shift_measures[0].same,
        .title = "Same data",
        .unit = "1",
        .better = Better::lower,
        .definition = cloud},
       [](const Row& row) { return row.sinkhorn_same; }},
      {{.name = shift_measures[0].different, .title = "Different", .unit = "1", .definition = cloud},
       [](const Row& row) { return row.sinkhorn_different; }},
      {{.name = shift_measures[0].difference,
        .title = "Difference",
        .unit = "1",
        .better = Better::higher,
        .definition = cloud},
       [](const Row& row) { return row.sinkhorn_different - row.sinkhorn_same; }},
      {{.name = shift_measures[1].same,
        .title = "Same data",
        .unit = "1",
        .better = Better::higher,
        .definition = pearson},
       [](const Row& row) { return row.pearson_same; }},
      {{.name = shift_measures[1].different, .title = "Different", .unit = "1", .definition = pearson},
       [](const Row& row) { return row.pearson_different; }},
      {{.name = shift_measures[1].difference,
        .title = "Difference",
        .unit = "1",
        .better = Better::lower,
        .definition = pearson},
       [](const Row& row) { return row.pearson_different - row.pearson_same; }},
      {{.name = shift_measures[2].same, .title = "Same data", .unit = "1", .better = Better::lower, .definition = line},
       [](const Row& row) { return row.sinkhorn_per_step_same; }},
      {{.name = shift_measures[2].different, .title = "Different", .unit = "1", .definition = line},
       [](const Row& row) { return row.sinkhorn_per_step_different; }},
      {{.name = shift_measures[2].difference,
        .title = "Difference",
        .unit = "1",
        .better = Better::higher,
        .definition = line},
       [](const Row& row) { return row.sinkhorn_per_step_different - row.sinkhorn_per_step_same; }},
      {{.name = shift_measures[3].same,
        .title = "Same data",
        .unit = "nat2",
        .better = Better::lower,
        .definition = square},
       [](const Row& row) { return row.mean_square_same; }},
      {{.name = shift_measures[3].different, .title = "Different", .unit = "nat2", .definition = square},
       [](const Row& row) { return row.mean_square_different; }},
      {{.name = shift_measures[3].difference,
        .title = "Difference",
        .unit = "nat2",
        .better = Better::higher,
        .definition = square},
       [](const Row& row) { return row.mean_square_different - row.mean_square_same; }}};
  return list;
}

}  // namespace cmc::records
