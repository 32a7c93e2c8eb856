#pragma once
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "pipeline/records/measurements.hpp"
#include "pipeline/records/summary.hpp"
#include "pipeline/records/task_labels.hpp"
#include "pipeline/store/results.hpp"

namespace cmc::records {

// Merges `keys` into results.h5 with what a reader wants beside the units: labels of each, /plan (every task of `plan`,
// done or not), /systems, /sets, /metrics, /measurements in long form, and /summary: the report's figures.
void write_results(const std::filesystem::path& output_folder, const store::ResultsHeader& header,
                   const std::vector<std::string>& keys, const std::vector<PlannedTask>& plan);

// A planned task without its parameters, as /plan keeps it.
struct PlanRow {
  std::string key, stage, name;
  TaskLabels labels;
  bool done = false;
};
store::Table plan_table(const std::vector<PlanRow>& rows);
// Throws BadData naming `where`.
std::vector<PlanRow> plan_rows(const store::Table& table, const std::string& where);
std::vector<PlanRow> plan_rows(const std::vector<PlannedTask>& plan, const std::set<std::string>& done);

// plan.json of an output folder; empty where there is none.
std::vector<PlannedTask> read_plan(const std::filesystem::path& output_folder);

// /systems, /sets, /metrics, /measurements, /summary.
std::vector<store::Table> measurement_tables(const Measurements& measurements, const Summary& summary);

}  // namespace cmc::records
