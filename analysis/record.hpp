#pragma once
#include <optional>
#include <string>
#include <vector>

#include "analysis/table.hpp"
#include "pipeline/records/measurements.hpp"
#include "pipeline/records/results_tables.hpp"
#include "pipeline/records/summary.hpp"
#include "pipeline/store/results.hpp"

namespace cmc::analysis {

using records::Figure, records::System;

// Results, and what was measured in them: what every table, figure, finding and comparison asks.
class Record {
 public:
  // `plan`: of the folder, where the results hold none.
  explicit Record(const store::Results& results, const std::vector<records::PlannedTask>& plan = {});

  const store::Results& results() const { return results_; }
  const records::Measurements& measurements() const { return measurements_; }
  const records::Summary& summary() const { return summary_; }
  const std::vector<int64_t>& seeds() const { return summary_.seeds(); }
  bool has_seeds() const { return seeds().size() > 1; }
  // One for each seed where there are several, else one of all there is.
  std::vector<records::View> views() const;
  std::optional<int64_t> seed_of(const store::Unit& unit) const { return seeds_.of(unit.key); }
  // Of the stage with its labels, read once each.
  std::vector<const store::Unit*> units(const std::string& stage) const;

  // Without seeds, in their order: those with values on `set`, and those that the plan asks for there.
  std::vector<System> systems(const std::string& stage, const std::string& set) const;
  // Over the seeds; a dash where it was not measured.
  const Figure& figure(const System& system, const std::string& set, std::string_view metric) const {
    return summary_.of(system, set, metric);
  }
  // Items with any value on the set, those of all seeds together.
  int64_t items(const System& system, const std::string& set) const;
  const std::vector<records::PlanRow>& plan() const { return plan_; }

 private:
  const store::Results& results_;
  records::Seeds seeds_;
  records::Measurements measurements_;
  records::Summary summary_;
  std::vector<records::PlanRow> plan_;
};

// What the ± of a table over seeds is; "" for one seed.
std::string errors_over_seeds(const Record& record);

// "section.key" of an experiment's resolved INI text; "" where it is not set.
std::string experiment_value(const std::string& experiment, const std::string& key);
// The first delta that the experiment trains for `stage`: the one its methods are compared with. Empty where the text
// does not say.
std::string main_delta(const Record& record, const std::string& stage);

}  // namespace cmc::analysis
