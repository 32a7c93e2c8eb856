#include "analysis/record.hpp"

#include <algorithm>
#include <set>
#include <sstream>

namespace cmc::analysis {
namespace {

records::Seeds seeds_of(const store::Results& results) {
  records::Seeds seeds;
  for (const auto& unit : results.units)
    seeds.add(unit.key, unit.task,
              json_field_or(unit.task, "inputs", std::vector<std::string>{}, records::where_of(unit)));
  return seeds;
}

records::Measurements measure(const store::Results& results, const records::Seeds& seeds) {
  records::Measurer measurer(seeds);
  for (const auto& unit : results.units) measurer.take(unit);
  return measurer.finish();
}

std::vector<records::PlanRow> plan_of(const store::Results& results, const std::vector<records::PlannedTask>& plan) {
  if (results.plan) return records::plan_rows(*results.plan, "/plan");
  std::set<std::string> done;
  for (const auto& unit : results.units) done.insert(unit.key);
  return records::plan_rows(plan, done);
}

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\r");
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

}  // namespace

Record::Record(const store::Results& results, const std::vector<records::PlannedTask>& plan)
    : results_(results),
      seeds_(seeds_of(results)),
      measurements_(measure(results, seeds_)),
      summary_(measurements_),
      plan_(plan_of(results, plan)) {}

std::vector<records::View> Record::views() const {
  std::vector<records::View> views;
  if (!has_seeds()) {
    const auto seed = seeds().empty() ? std::nullopt : std::optional(seeds().front());
    views.emplace_back(measurements_, seed, records::View::Holds::everything);
  } else {
    for (const int64_t seed : seeds()) views.emplace_back(measurements_, seed);
  }
  return views;
}

std::vector<const store::Unit*> Record::units(const std::string& stage) const {
  std::vector<const store::Unit*> units;
  for (const auto& unit : results_.units)
    if (unit.stage == stage) units.push_back(&unit);
  return units;
}

std::vector<System> Record::systems(const std::string& stage, const std::string& set) const {
  std::set<System> systems;
  if (const auto code = measurements_.find_set(set))
    for (const auto& row : measurements_.rows())
      if (row.set == *code) systems.insert(measurements_.systems()[static_cast<size_t>(row.system)].without_seed());
  for (const auto& task : plan_)
    if (task.stage == stage && task.labels.set == set)
      for (const auto& system : task.labels.systems()) systems.insert(system.without_seed());
  return {systems.begin(), systems.end()};
}

int64_t Record::items(const System& system, const std::string& set) const {
  std::set<std::pair<int32_t, int64_t>> items;
  const auto where = measurements_.find_set(set);
  if (!where) return 0;
  for (int32_t code = 0; code < std::ssize(measurements_.systems()); ++code) {
    if (measurements_.systems()[static_cast<size_t>(code)].without_seed() != system) continue;
    for (const auto& row : measurements_.of(code, *where)) items.insert({code, row.item});
  }
  return static_cast<int64_t>(items.size());
}

std::string errors_over_seeds(const Record& record) {
  if (!record.has_seeds()) return "";
  std::string seeds;
  for (const int64_t seed : record.seeds()) seeds += (seeds.empty() ? "" : ", ") + std::to_string(seed);
  return "Each figure is the mean over seeds " + seeds +
         " of the seed's own figure ± its sample standard deviation over the seeds; n counts the items of all "
         "seeds. A figure without ± was measured once; – was not measured.";
}

std::string experiment_value(const std::string& experiment, const std::string& key) {
  std::istringstream lines(experiment);
  std::string line, section;
  while (std::getline(lines, line)) {
    line = trimmed(line);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line.front() == '[' && line.back() == ']') {
      section = line.substr(1, line.size() - 2) + ".";
    } else if (const size_t equals = line.find('=');
               equals != std::string::npos && section + trimmed(line.substr(0, equals)) == key) {
      return trimmed(line.substr(equals + 1));
    }
  }
  return "";
}

std::string main_delta(const Record& record, const std::string& stage) {
  const std::string deltas = experiment_value(record.results().header.experiment, "deltas." + stage);
  return trimmed(deltas.substr(0, deltas.find(',')));
}

}  // namespace cmc::analysis
