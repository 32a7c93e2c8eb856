// Are logit shifts alike across models (paper, Figure 2 and the appendix table of Sinkhorn divergences)?
#include <algorithm>
#include <cmath>
#include <numeric>

#include "analysis/sample.hpp"
#include "analysis/section.hpp"
#include "analysis/similarity_runs.hpp"
#include "pipeline/metrics/summary.hpp"

namespace cmc::analysis {
namespace {

using Items = std::map<int64_t, ShiftItem>;
using Measure = double ShiftDistance::*;

Figure mean_of(const Items& items, ShiftDistance ShiftItem::*side, Measure measure) {
  std::vector<double> values;
  for (const auto& [item, shift] : items) values.push_back(shift.*side.*measure);
  return mean_figure(values);
}

// Of the prompts measured on both sides.
struct Paired {
  std::vector<double> same, different;
};
Paired paired_of(const Items& items, Measure measure) {
  Paired paired;
  for (const auto& [item, shift] : items) {
    if (!std::isfinite(shift.same.*measure) || !std::isfinite(shift.different.*measure)) continue;
    paired.same.push_back(shift.same.*measure);
    paired.different.push_back(shift.different.*measure);
  }
  return paired;
}

void add_measure(const Items& items, Measure measure, std::vector<Cell>& row) {
  const Paired paired = paired_of(items, measure);
  std::vector<double> differences;
  for (size_t i = 0; i < paired.same.size(); ++i) differences.push_back(paired.different[i] - paired.same[i]);
  row.push_back(mean_of(items, &ShiftItem::same, measure));
  row.push_back(mean_of(items, &ShiftItem::different, measure));
  row.push_back(mean_figure(differences));
  row.push_back(differences.empty() ? Figure{}
                                    : plain_figure(metrics::paired_bootstrap(paired.different, paired.same).p_value));
}

struct Shown {
  std::string group, better;
  Measure measure;
};

Table table_of(const SimilarityRuns& runs, const std::string& id, const std::string& title,
               const std::vector<Shown>& shown) {
  Table table{id, title, {{"Reference"}, {"Other"}, {"Tuned by"}, {"n", "", 0}}, {}, {}};
  table.key_columns = 3;
  for (const Shown& measure : shown) {
    const std::string apart = measure.better == "lower" ? "higher" : "lower";
    table.columns.push_back({"Same data", measure.group, 3, measure.better});
    table.columns.push_back({"Different", measure.group, 3});
    table.columns.push_back({"Difference", measure.group, 3, apart});
    table.columns.push_back({"p", measure.group, 3, "", OverSeeds::largest});
  }
  for (const auto& [pair, items] : runs) {
    auto& row = table.rows.emplace_back(std::vector<Cell>{pair.reference, pair.other, pair.method});
    row.emplace_back(Counts{{static_cast<int64_t>(items.size())}});
    for (const Shown& measure : shown) add_measure(items, measure.measure, row);
  }
  table.errors = "Means over n prompts ± standard error; – was not measured.";
  table.notes = {
      "Shift: log-probabilities after fine-tuning minus before, at the reference's most probable tokens of each step. "
      "Same data, different: the other model fine-tuned on the reference's data, or on different data.",
      "Difference: different minus same, prompt by prompt. p: two-sided, paired bootstrap over prompts; of several "
      "seeds the largest."};
  return table;
}

// The first `sorted` columns of each step by the reference's falling shift, the others stay by its falling probability.
std::vector<std::vector<size_t>> column_orders(const std::vector<std::vector<double>>& reference) {
  constexpr size_t sorted = 50, shown = 100;  // paper, Figure 2
  std::vector<std::vector<size_t>> orders;
  for (const auto& row : reference) {
    auto& order = orders.emplace_back(std::min(shown, row.size()));
    std::iota(order.begin(), order.end(), size_t{0});
    const auto end = order.begin() + static_cast<std::ptrdiff_t>(std::min(sorted, order.size()));
    std::stable_sort(order.begin(), end, [&](size_t a, size_t b) { return row[a] > row[b]; });
  }
  return orders;
}

std::vector<std::vector<double>> ordered(const std::vector<std::vector<double>>& rows,
                                         const std::vector<std::vector<size_t>>& orders) {
  std::vector<std::vector<double>> result;
  for (size_t r = 0; r < rows.size() && r < orders.size(); ++r) {
    auto& row = result.emplace_back();
    for (const size_t column : orders[r]) row.push_back(column < rows[r].size() ? rows[r][column] : unknown);
  }
  return result;
}

Heatmap heatmap_of(const ShiftPair& pair, const ShiftMatrices& shifts) {
  const auto orders = column_orders(shifts.reference);
  Heatmap map{"shift", "Logit shifts of " + describe(pair), "token", "step", "shift, nat", "", {}};
  map.panels.push_back({"reference: " + pair.reference, ordered(shifts.reference, orders)});
  if (!shifts.same.empty()) map.panels.push_back({pair.other + ", same data", ordered(shifts.same, orders)});
  if (!shifts.different.empty())
    map.panels.push_back({pair.other + ", different data", ordered(shifts.different, orders)});
  map.caption =
      "Logit shifts of " + describe(pair) +
      " on the first prompt, as in the paper's Figure 2. Rows: steps. Columns: the reference's 100 most probable "
      "tokens of the step, the first 50 by its falling shift, the others by its falling probability; every panel in "
      "this order, under one scale that ends where 99 % of the sizes lie.";
  return map;
}

}  // namespace

Section similarity_section(const store::Results& results) {
  Section section{
      "similarity",
      "Similarity of logit shifts",
      "Does fine-tuning on the same data shift the logits of different models alike? The idea behind one delta for "
      "many models.",
      {},
      {}};
  const SimilarityRuns runs = collect_similarity(results);
  if (runs.empty()) return section;
  section.tables = {table_of(runs, "similarity", "Similarity of logit shifts",
                             {{"Sinkhorn divergence / 100", "lower", &ShiftDistance::sinkhorn},
                              {"Pearson r", "higher", &ShiftDistance::pearson}}),
                    table_of(runs, "similarity_steps", "Similarity of logit shifts, step by step",
                             {{"Sinkhorn, mean of steps", "lower", &ShiftDistance::sinkhorn_per_step},
                              {"Mean square, nat²", "lower", &ShiftDistance::mean_square}})};
  section.tables.back().shown = Table::Shown::files_only;
  section.tables.front().notes.emplace_back(
      "Sinkhorn divergence: p = 2, blur 0.01, debiased (as geomloss defines it), between the steps as points; smaller "
      "is more "
      "alike.");
  for (const auto& [pair, shifts] : first_shifts(results))
    if (!shifts.reference.empty()) section.heatmaps.push_back(heatmap_of(pair, shifts));
  return section;
}

}  // namespace cmc::analysis
