#pragma once
#include <algorithm>
#include <compare>
#include <map>
#include <string>
#include <vector>

#include "analysis/table.hpp"
#include "pipeline/store/results.hpp"

namespace cmc::analysis {

// What was evaluated: a target with a method, the delta and its strength where there is one.
struct System {
  std::string target;
  std::string method;  // "vanilla", "lora", "cmc", …
  std::string delta;   // "" without one
  std::string mode;    // fusion mode, map and treatment of unmapped tokens where they are not the default; else ""
  double alpha = 0;    // 0 without a delta

  bool operator<(const System& other) const;  // by target, method (vanilla first, cmc last), delta, mode, alpha
  bool operator==(const System&) const = default;
  bool is_vanilla() const { return method == "vanilla"; }
  System vanilla() const { return {target, "vanilla", "", "", 0}; }
};

// "gemma + tiny, α 0.5" for lists; the same without the strength for a curve over it.
std::string describe(const System& system);
std::string describe_curve(const System& system);
std::string describe_addition(const System& system);  // what is added to the target: "tiny (raw_sum)", or its method
// Target | Method | Delta | α as the first columns of a table, and a row's cells for them.
std::vector<Column> system_columns();
std::vector<Cell> system_cells(const System& system);

// "section.key" of an experiment's resolved INI text; "" where it is not set.
std::string experiment_value(const std::string& experiment, const std::string& key);

// The systems an experiment asks of `stage` ("instruct", "unlearn"), read from its resolved INI text, so that what is
// still missing has a row of dashes. Empty where the text does not say.
std::vector<System> expected_systems(const std::string& experiment, const std::string& stage);

// Adds them to `runs`, a map by System, where the target was not measured with the method. (Only of CMC does the text
// say with which deltas and strengths.)
template <class Runs>
void add_expected(const store::Results& results, const std::string& stage, Runs& runs) {
  for (const System& system : expected_systems(results.header.experiment, stage)) {
    const auto same = [&](const auto& run) {
      return run.first.target == system.target && run.first.method == system.method;
    };
    if (system.method == "cmc" || std::none_of(runs.begin(), runs.end(), same)) runs[system];
  }
}

// The first delta that the experiment trains for `stage`: the one its methods are compared with. Empty where the text
// does not say.
std::string main_delta(const std::string& experiment, const std::string& stage);

// The keys of a map by System, in its order.
template <class Runs>
std::vector<System> systems_of(const Runs& runs) {
  std::vector<System> systems;
  for (const auto& [system, run] : runs) systems.push_back(system);
  return systems;
}

// Row `row` of a unit's system: the unit's dataset `alpha` gives the strength, or its task's.
System system_of(const store::Unit& unit, size_t row);
// The item a row is about: dataset `item`, or the task's `first` + row.
int64_t item_of(const store::Unit& unit, size_t row);

}  // namespace cmc::analysis
