// Makes an output folder from JSON on stdin for test_*.py:
//   probe_analysis FOLDER merge|units < {"title", "experiment", "environment", "units": [{"stage", "task", "cost",
//     "datasets": [{"name", "dimensions", "shape", "type": "double"|"int64"|"int32"|"text", "values"}], "ragged":
//     [{"name", "dimension", "rows"}]}]}
#include <iostream>
#include <iterator>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/core/json.hpp"
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
  unit.cost = json.value("cost", Json::object());
  unit.provenance = {{"software", "cmc"}, {"host", "node1"}};
  unit.key = sha256(unit.stage + unit.task.dump());
  for (const Json& d : json.value("datasets", Json::array()))
    unit.datasets.push_back({d.at("name"), d.at("dimensions"), d.at("shape"), values_of(d), "1", d.at("name"), ""});
  for (const Json& r : json.value("ragged", Json::array())) {
    store::Ragged ragged{r.at("name"), r.at("dimension"), {}, {0}, "token", r.at("name")};
    for (const Json& row : r.at("rows")) {
      for (const Json& token : row) ragged.values.push_back(token.get<int32_t>());
      ragged.offsets.push_back(static_cast<int64_t>(ragged.values.size()));
    }
    unit.ragged.push_back(std::move(ragged));
  }
  return unit;
}

void make(const std::filesystem::path& folder, const Json& json, bool merge) {
  const store::UnitStore units(folder);
  std::vector<std::string> keys;
  for (const Json& description : json.at("units")) {
    const store::Unit unit = unit_of(description);
    units.publish(unit);
    keys.push_back(unit.key);
  }
  publish_file(folder / "experiment.ini", json.at("experiment").get<std::string>());
  publish_file(folder / "environment.json", json.at("environment").dump());
  if (merge) store::write_results(folder, {json.at("title"), json.at("experiment"), json.at("environment")}, keys);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    expect(argc == 3, "probe_analysis FOLDER merge|units");
    const std::string text(std::istreambuf_iterator<char>(std::cin), {});
    make(argv[1], Json::parse(text), std::string(argv[2]) == "merge");
    return 0;
  } catch (const std::exception& e) {
    std::cerr << e.what() << std::endl;
    return 70;
  }
}
