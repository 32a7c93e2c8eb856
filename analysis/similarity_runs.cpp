#include "analysis/similarity_runs.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "analysis/unit_values.hpp"

namespace cmc::analysis {
namespace {

ShiftPair pair_of(const store::Unit& unit) {
  return {text_of(unit.task, "reference"), text_of(unit.task, "other"), text_of(unit.task, "method")};
}

// One of the two sides, for each prompt of the unit.
std::vector<ShiftDistance> distances_of(const store::Unit& unit, const std::string& side, size_t prompts) {
  const auto sinkhorn = numbers(unit, "sinkhorn_" + side), per_step = numbers(unit, "sinkhorn_per_step_" + side),
             pearson = numbers(unit, "pearson_" + side), square = numbers(unit, "mean_square_" + side);
  std::vector<ShiftDistance> list;
  for (size_t i = 0; i < prompts; ++i)
    list.push_back({at(sinkhorn, i), at(per_step, i), at(pearson, i), at(square, i)});
  return list;
}

// Rows `steps` of a [step, top] dataset.
std::vector<std::vector<double>> rows_of(const store::Unit& unit, const std::string& name,
                                         const std::vector<size_t>& steps) {
  std::vector<std::vector<double>> rows;
  const auto* dataset = find_dataset(unit, name);
  if (!dataset || dataset->shape.size() != 2) return rows;
  const auto values = numbers(unit, name);
  const auto columns = static_cast<size_t>(dataset->shape[1]);
  for (const size_t step : steps) {
    auto& row = rows.emplace_back();
    for (size_t c = 0; c < columns; ++c) row.push_back(at(values, step * columns + c));
  }
  return rows;
}

// Where the steps of prompt `item` stand, in their order.
std::vector<size_t> steps_of(const store::Unit& unit, double item) {
  const auto items = numbers(unit, "step_item"), order = numbers(unit, "step_number");
  std::vector<size_t> steps;
  for (size_t s = 0; s < items.size(); ++s)
    if (items[s] == item) steps.push_back(s);
  std::ranges::stable_sort(steps, {}, [&](size_t step) { return at(order, step); });
  return steps;
}

}  // namespace

std::string describe(const ShiftPair& pair) {
  return pair.reference + " and " + pair.other + (pair.method.empty() ? "" : " (" + pair.method + ")");
}

SimilarityRuns collect_similarity(const store::Results& results) {
  SimilarityRuns runs;
  for (const auto& unit : results.units) {
    const auto items = numbers(unit, "item");
    if (unit.stage != "similarity" || items.empty()) continue;
    const auto same = distances_of(unit, "same", items.size()),
               different = distances_of(unit, "different", items.size());
    auto& pair = runs[pair_of(unit)];
    for (size_t i = 0; i < items.size(); ++i) pair[static_cast<int64_t>(items[i])] = {same[i], different[i]};
  }
  return runs;
}

std::map<ShiftPair, ShiftMatrices> first_shifts(const store::Results& results) {
  std::map<ShiftPair, std::pair<double, const store::Unit*>> first;  // lowest prompt, its unit
  for (const auto& unit : results.units) {
    const auto items = numbers(unit, "step_item");
    if (unit.stage != "similarity" || items.empty()) continue;
    const double lowest = std::ranges::min(items);
    const auto [known, added] = first.try_emplace(pair_of(unit), lowest, &unit);
    if (!added && lowest < known->second.first) known->second = {lowest, &unit};
  }
  std::map<ShiftPair, ShiftMatrices> shifts;
  for (const auto& [pair, found] : first) {
    const auto& [item, unit] = found;
    const auto steps = steps_of(*unit, item);
    shifts[pair] = {rows_of(*unit, "shift_reference", steps), rows_of(*unit, "shift_same", steps),
                    rows_of(*unit, "shift_different", steps)};
  }
  return shifts;
}

}  // namespace cmc::analysis
