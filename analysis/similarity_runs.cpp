#include "analysis/similarity_runs.hpp"

#include <algorithm>
#include <set>

namespace cmc::analysis {
namespace {

std::string reference_of(const std::string& set) {
  const std::string prefix = records::shift_set("");
  return set.starts_with(prefix) ? set.substr(prefix.size()) : "";
}

// Steps of the unit's first prompt, in their order.
std::vector<records::ShiftStepRow> first_steps(const store::Unit& unit) {
  auto steps = records::read_rows<records::ShiftStepRow>(unit);
  if (steps.empty()) return steps;
  const int64_t first = std::ranges::min_element(steps, {}, &records::ShiftStepRow::item)->item;
  std::erase_if(steps, [&](const auto& step) { return step.item != first; });
  std::ranges::stable_sort(steps, {}, &records::ShiftStepRow::step);
  return steps;
}

std::vector<double> numbers(const std::vector<float>& row) {
  return {row.begin(), row.end()};
}

}  // namespace

std::string describe(const ShiftPair& pair) {
  return pair.reference + " and " + pair.system.target + " (" + std::string(name_of(pair.system.method)) + ")";
}

std::vector<ShiftPair> shift_pairs(const Record& record) {
  std::set<ShiftPair> pairs;
  for (const auto& set : record.measurements().sets())
    if (const std::string reference = reference_of(set); !reference.empty())
      for (const System& system : record.systems("similarity", set)) pairs.insert({reference, system});
  return {pairs.begin(), pairs.end()};
}

std::map<ShiftPair, ShiftMatrices> first_shifts(const Record& record) {
  std::map<ShiftPair, std::vector<records::ShiftStepRow>> first;
  for (const auto* unit : record.units("similarity")) {
    const auto seed = record.seed_of(*unit);
    if (record.has_seeds() && seed && seed != record.seeds().front()) continue;
    const auto labels = records::labels_of(unit->stage, unit->task, records::where_of(*unit));
    System system = labels.system.without_seed();
    system.strength = 0;
    auto steps = first_steps(*unit);
    if (steps.empty()) continue;
    auto& known = first[{reference_of(labels.set), system}];
    if (known.empty() || steps.front().item < known.front().item) known = std::move(steps);
  }
  std::map<ShiftPair, ShiftMatrices> shifts;
  for (const auto& [pair, steps] : first)
    for (const auto& step : steps) {
      shifts[pair].reference.push_back(numbers(step.reference));
      shifts[pair].same.push_back(numbers(step.same));
      shifts[pair].different.push_back(numbers(step.different));
    }
  return shifts;
}

}  // namespace cmc::analysis
