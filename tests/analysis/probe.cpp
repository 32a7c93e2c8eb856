// Makes an output folder from JSON on stdin for test_*.py:
//   probe_analysis FOLDER merge|units|old < {"title", "experiment", "environment", "units": [{"stage", "task", "cost",
//     "datasets": [{"name", "dimensions", "shape", "type": "double"|"int64"|"int32"|"text", "values"}], "ragged":
//     [{"name", "dimension", "rows"}]}]}
#include <iostream>
#include <iterator>
#include <set>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/records/results_tables.hpp"
#include "pipeline/store/results.hpp"
#include "pipeline/store/unit_store.hpp"

namespace {
using namespace cmc;

store::Values values_of(const Json& dataset) {
  const auto& type = dataset.at("type");
  const Json& values = dataset.at("values");
  if (type == "int64") return values.get<std::vector<int64_t>>();
  if (type == "int32") return values.get<std::vector<int32_t>>();
  if (type == "text") return values.get<std::vector<std::string>>();
  std::vector<double> numbers;
  for (const Json& value : values)
    numbers.push_back(value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>());
  return numbers;
}

store::Unit unit_of(const Json& json) {
  store::Unit unit;
  unit.stage = json.at("stage");
  unit.task = json.at("task");
  unit.cost = store::cost_from(json.value("cost", Json::object()), "cost");
  unit.provenance = {{"software", "cmc"}, {"host", "node1"}};
  unit.key = sha256(unit.stage + unit.task.dump());
  for (const Json& d : json.value("datasets", Json::array()))
    unit.datasets.push_back({d.at("name"), d.at("dimensions"), d.at("shape"), values_of(d), "1", d.at("name"), ""});
  for (const Json& r : json.value("ragged", Json::array())) {
    store::Ragged ragged{r.at("name"), r.at("dimension"), {}, {0}, "token", r.at("name")};
    std::vector<float> numbers;
    for (const Json& row : r.at("rows")) {
      for (const Json& number : row) numbers.push_back(number.get<float>());
      ragged.offsets.push_back(static_cast<int64_t>(numbers.size()));
    }
    if (r.value("type", "int32") == "float")
      ragged.values = std::move(numbers);
    else
      ragged.values = std::vector<int32_t>(numbers.begin(), numbers.end());
    unit.ragged.push_back(std::move(ragged));
  }
  return unit;
}

// The tasks of the plan: those of the units, and those that "missing" names beside.
std::vector<records::PlannedTask> plan_of(const Json& json) {
  std::vector<records::PlannedTask> plan;
  std::set<std::string> known;
  for (const char* list : {"units", "missing"})
    for (const Json& task : json.value(list, Json::array())) {
      const std::string stage = task.at("stage"), key = sha256(stage + task.at("task").dump());
      if (!known.insert(key).second) continue;
      plan.push_back({key, stage, task.at("task").value("name", ""), task.at("task"),
                      task.at("task").value("inputs", std::vector<std::string>{})});
    }
  return plan;
}

void write_plan(const std::filesystem::path& folder, const std::vector<records::PlannedTask>& plan) {
  Json tasks = Json::array();
  for (const auto& task : plan)
    tasks.push_back({{"key", task.key},
                     {"stage", task.stage},
                     {"name", task.name},
                     {"parameters", task.parameters},
                     {"inputs", task.inputs}});
  publish_file(folder / "plan.json", Json{{"tasks", tasks}}.dump());
}

// how: "merge", "units" (no results.h5 yet), or "old" (results.h5 without tables and plan, as schema 1 had it).
void make(const std::filesystem::path& folder, const Json& json, const std::string& how) {
  const store::UnitStore units(folder);
  std::vector<std::string> keys;
  for (const Json& description : json.at("units")) {
    const store::Unit unit = unit_of(description);
    units.publish(unit);
    keys.push_back(unit.key);
  }
  publish_file(folder / "experiment.ini", json.at("experiment").get<std::string>());
  publish_file(folder / "environment.json", json.at("environment").dump());
  const auto plan = plan_of(json);
  const store::ResultsHeader header{json.at("title"), json.at("experiment"), json.at("environment")};
  write_plan(folder, plan);
  if (how == "merge") records::write_results(folder, header, keys, plan);
  if (how == "old") store::write_results(folder, header, keys);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    expect(argc == 3, "probe_analysis FOLDER merge|units|old");
    const std::string text(std::istreambuf_iterator<char>(std::cin), {});
    make(argv[1], Json::parse(text), argv[2]);
    return 0;
  } catch (const std::exception& e) {
    std::cerr << e.what() << std::endl;
    return 70;
  }
}
