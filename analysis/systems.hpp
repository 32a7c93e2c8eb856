#pragma once
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
  std::string method;  // "vanilla", "cmc", …
  std::string delta;   // "" without one
  std::string mode;    // fusion mode where it is not the default; else ""
  double alpha = 0;    // 0 for vanilla

  bool operator<(const System& other) const;  // by target, vanilla first, then method, delta, mode, alpha
  bool operator==(const System&) const = default;
  bool is_vanilla() const { return method == "vanilla"; }
  System vanilla() const { return {target, "vanilla", "", "", 0}; }
};

// "gemma + tiny, α 0.5" for legends and lists.
std::string describe(const System& system);
// Target | Method | Delta | α as the first columns of a table, and a row's cells for them.
std::vector<Column> system_columns();
std::vector<Cell> system_cells(const System& system);

// The systems an experiment asks of `stage` ("instruct", "unlearn"), read from its resolved INI text, so that what is
// still missing has a row of dashes. Empty where the text does not say.
std::vector<System> expected_systems(const std::string& experiment, const std::string& stage);

// Row `row` of a unit's system: the unit's dataset `alpha` gives the strength, or its task's.
System system_of(const store::Unit& unit, size_t row);
// The item a row is about: dataset `item`, or the task's `first` + row.
int64_t item_of(const store::Unit& unit, size_t row);

}  // namespace cmc::analysis
