// Are logit shifts alike across models (paper, Figure 2 and the appendix table of Sinkhorn divergences)?
#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "analysis/section.hpp"
#include "analysis/similarity_runs.hpp"
#include "analysis/systems.hpp"

namespace cmc::analysis {
namespace {

using Shown = std::span<const records::ShiftMetrics>;

Table table_of(const Record& record, const std::vector<ShiftPair>& pairs, const std::string& id,
               const std::string& title, Shown shown) {
  Table table{id, title, {{"Reference"}, {"Other"}, {"Tuned by"}, {"n", "", 0}}, {}, {}};
  table.key_columns = 3;
  for (const auto& measure : shown)
    for (const auto name : {measure.same, measure.different, measure.difference, measure.p})
      table.columns.push_back(metric_column(records::metric_named(name), std::string(measure.title)));
  for (const ShiftPair& pair : pairs) {
    auto& row = table.rows.emplace_back(
        std::vector<Cell>{pair.reference, pair.system.target, std::string(name_of(pair.system.method))});
    row.emplace_back(Counts{{record.items(pair.system, pair.set())}});
    for (const auto& measure : shown)
      for (const auto name : {measure.same, measure.different, measure.difference, measure.p})
        row.emplace_back(record.figure(pair.system, pair.set(), name));
  }
  table.errors =
      record.has_seeds() ? errors_over_seeds(record) : "Means over n prompts ± standard error; – was not measured.";
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

Heatmap heatmap_of(const Record& record, const ShiftPair& pair, const ShiftMatrices& shifts) {
  const auto orders = column_orders(shifts.reference);
  Heatmap map{"shift", "Logit shifts of " + describe(pair), "token", "step", "shift, nat", "", {}};
  map.panels.push_back({"reference: " + pair.reference, ordered(shifts.reference, orders)});
  if (!shifts.same.empty()) map.panels.push_back({pair.system.target + ", same data", ordered(shifts.same, orders)});
  if (!shifts.different.empty())
    map.panels.push_back({pair.system.target + ", different data", ordered(shifts.different, orders)});
  map.caption =
      "Logit shifts of " + describe(pair) +
      " on the first prompt, as in the paper's Figure 2. Rows: steps. Columns: the reference's 100 most probable "
      "tokens of the step, the first 50 by its falling shift, the others by its falling probability; every panel in "
      "this order, under one scale that ends where 99 % of the sizes lie." +
      (record.has_seeds() ? " Seed " + std::to_string(record.seeds().front()) + "." : "");
  return map;
}

}  // namespace

Section similarity_section(const Record& record) {
  Section section{
      "similarity",
      "Similarity of logit shifts",
      "Does fine-tuning on the same data shift the logits of different models alike? The idea behind one delta for "
      "many models.",
      {},
      {}};
  const auto pairs = shift_pairs(record);
  if (pairs.empty()) return section;
  const Shown all = records::shift_measures;
  section.tables = {
      table_of(record, pairs, "similarity", "Similarity of logit shifts", all.first(2)),
      table_of(record, pairs, "similarity_steps", "Similarity of logit shifts, step by step", all.subspan(2))};
  section.tables.back().shown = Table::Shown::folded;
  section.tables.front().notes.emplace_back(
      "Sinkhorn divergence: p = 2, blur 0.01, debiased (as geomloss defines it), between the steps as points; smaller "
      "is more "
      "alike.");
  for (const auto& [pair, shifts] : first_shifts(record)) section.heatmaps.push_back(heatmap_of(record, pair, shifts));
  return section;
}

}  // namespace cmc::analysis
