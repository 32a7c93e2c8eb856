// Drives the store for test_*.py: probe_store make|units|publish|read|results|verify ARGUMENTS
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "pipeline/core/error.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/store/results.hpp"
#include "pipeline/store/unit_store.hpp"
#include "tests/store/support_units.hpp"

namespace {
using namespace cmc;
using namespace cmc::store;

// FOLDER NAME...: publishes one full unit per name.
void publish(const std::string& folder, char** names, int count) {
  for (int i = 0; i < count; ++i) UnitStore(folder).publish(testing_units::everything(names[i]));
}

// FOLDER SIZE VERSION: one unit of SIZE doubles, all equal to VERSION.
void publish_version(const std::string& folder, int64_t size, double version) {
  Unit unit = testing_units::everything("versioned");
  std::vector<double> values(static_cast<size_t>(size), version);
  for (size_t i = 1; i < values.size(); ++i)
    values[i] += static_cast<double>((i * 2654435761u) % 1000003u);  // not too compressible
  unit.datasets.push_back({"version", {"element"}, {size}, values, "1", "version", ""});
  UnitStore(folder).publish(unit);
}

int run(int argc, char** argv) {
  const std::string verb = argc > 2 ? argv[1] : "", folder = argc > 2 ? argv[2] : "";
  if (verb == "publish") {
    publish(folder, argv + 3, argc - 3);
  } else if (verb == "publish_unlearn" && argc == 4) {
    UnitStore(folder).publish(testing_units::unlearn(argv[3]));
  } else if (verb == "version" && argc == 5) {
    publish_version(folder, std::atoll(argv[3]), std::atof(argv[4]));
  } else if (verb == "versions" && argc == 4) {
    for (double version = 1;; ++version) {
      publish_version(folder, std::atoll(argv[3]), version);
      std::cout << version << std::endl;
    }
  } else if (verb == "results") {
    const Json environment = {{"software", "cmc"},
                              {"version", "0.1.0"},
                              {"host", "node1"},
                              {"date", "2026-01-31T12:00:00Z"},
                              {"hdf5", "1.10.8"}};
    Additions additions;  // every unit has the labels of the first
    additions.take = [](Unit& unit) { unit.labels = testing_units::everything("a").labels; };
    write_results(folder, {"Probe", "[run]\nseed = 1\n", environment}, UnitStore(folder).keys(), additions);
  } else if (verb == "verify") {
    Json found = Json::array();
    for (const auto& damage : UnitStore(folder).verify()) found.push_back({damage.key, damage.what});
    std::cout << found << std::endl;
  } else if (verb == "read_results") {
    const Results results = read_results(folder);
    std::cout << Json{{"units", results.units.size()}, {"title", results.header.title}} << std::endl;
  } else {
    throw Usage({"probe_store", "unknown verb", "read its source"});
  }
  return 0;
}
}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const cmc::Error& e) {
    std::cerr << e.what() << std::endl;
    return static_cast<int>(e.code());
  }
}
