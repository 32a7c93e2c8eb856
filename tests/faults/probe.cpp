// Drives store and distributed through faults: probe_faults VERB ARGUMENTS, see the verbs below. Prints one JSON line.
#include <algorithm>
#include <iostream>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/core/log.hpp"
#include "pipeline/distributed/session.hpp"
#include "pipeline/store/results.hpp"
#include "pipeline/store/unit_store.hpp"
#include "tests/faults/synthetic_run.hpp"
#include "tests/store/support_units.hpp"

namespace {
using namespace cmc;
using namespace cmc::store;
namespace fs = std::filesystem;

// A unit named `name`; versions differ in every value.
Unit versioned(const std::string& name, double version) {
  Unit unit = testing_units::everything(name);
  unit.datasets.push_back({"version", {"element"}, {5000}, std::vector<double>(5000, version), "1", "version", ""});
  return unit;
}

double version_of(const Unit& unit) {
  const auto& values = std::get<std::vector<double>>(unit.datasets.back().values);
  for (const double value : values)
    if (value != values.front()) throw Internal({unit.key, "mixes two versions", ""});
  return values.front();
}

// FOLDER NAME VERSION
void publish(const fs::path& folder, const std::string& name, double version) {
  UnitStore(folder).publish(versioned(name, version));
}

// FOLDER COUNT: publishes the units that are missing of `count`.
Json units(const fs::path& folder, int count) {
  const UnitStore store(folder);
  int made = 0;
  for (int i = 0; i < count; ++i) {
    const Unit unit = versioned("unit " + std::to_string(i), i);
    if (store.has(unit.key)) continue;
    store.publish(unit);
    ++made;
  }
  return {{"made", made}};
}

// Of the finished `samples`, one of the task's stage, and of its kind of prompts where it has any.
const Unit& sample_of(const Json& task, const std::vector<Unit>& samples) {
  const auto fits = [&](const Unit& unit) {
    return unit.stage == task.at("stage") &&
           unit.task.value("prompts", "") == task.at("parameters").value("prompts", "");
  };
  const auto found = std::ranges::find_if(samples, fits);
  if (found == samples.end()) throw BadData({"samples", "hold no unit like " + task.at("name").dump(), ""});
  return *found;
}

// FOLDER PLAN.json SAMPLES: a unit for each of its tasks that has none, as if all had been run: with the task's
// parameters and the rows of a like one that was, in the folder SAMPLES.
Json plan_units(const fs::path& folder, const fs::path& plan, const fs::path& of_samples) {
  const UnitStore store(folder), finished(of_samples);
  std::vector<Unit> samples;
  for (const auto& key : finished.keys()) samples.push_back(finished.read(key));
  const Json planned = read_json(plan);
  int made = 0;
  for (const Json& task : planned.at("tasks")) {
    Unit unit = sample_of(task, samples);
    unit.key = task.at("key");
    unit.task = task.at("parameters");
    unit.task["name"] = task.at("name");
    unit.cost.wall_seconds = 1.25;
    unit.cost.ranks = 1;
    if (store.has(unit.key)) continue;
    store.publish(unit);
    ++made;
  }
  return {{"made", made}};
}

// FOLDER TITLE: merges all units.
void merge(const fs::path& folder, const std::string& title) {
  write_results(folder, {title, "[run]\n", {{"version", "1"}}}, UnitStore(folder).keys());
}

// FOLDER: as a trained model is published, with files of its own and a folder inside.
void model_folder(const fs::path& folder) {
  create_folder(folder / "checkpoints");
  publish_folder(folder / "checkpoints" / "model", [](const fs::path& temporary) {
    publish_file(temporary / "config.json", "{}\n");
    publish_file(temporary / "model.safetensors", std::string(100'000, 'w'));
    publish_file(temporary / "tokenizer" / "tokenizer.json", std::string(1000, 't'));
  });
}

// FOLDER: what is there, every unit and results.h5 read in full.
Json state(const fs::path& folder) {
  const UnitStore store(folder);
  Json found = {{"units", Json::object()}, {"results", nullptr}, {"model", Json::array()}};
  for (const std::string& key : store.keys()) found["units"][key] = version_of(store.read(key));
  if (fs::exists(folder / "results.h5")) found["results"] = read_results(folder / "results.h5").header.title;
  if (fs::exists(folder / "checkpoints" / "model"))
    for (const auto& file : fs::recursive_directory_iterator(folder / "checkpoints" / "model"))
      if (file.is_regular_file()) found["model"].push_back(file.file_size());
  return found;
}

int dispatch(const std::vector<std::string>& given) {
  const std::string verb = given.empty() ? "" : given[0];
  const fs::path folder = given.size() < 2 ? "" : given[1];
  if (verb == "publish" && given.size() == 4) {
    publish(folder, given[2], std::stod(given[3]));
  } else if (verb == "units" && given.size() == 3) {
    std::cout << units(folder, std::stoi(given[2])) << std::endl;
  } else if (verb == "plan-units" && given.size() == 4) {
    std::cout << plan_units(folder, given[2], given[3]) << std::endl;
  } else if (verb == "merge" && given.size() == 3) {
    merge(folder, given[2]);
  } else if (verb == "model" && given.size() == 2) {
    model_folder(folder);
  } else if (verb == "state" && given.size() == 2) {
    std::cout << state(folder) << std::endl;
  } else if (verb == "scan" && given.size() == 2) {  // what a run does before its first task
    UnitStore(folder).remove_abandoned();
    std::cout << Json{{"units", UnitStore(folder).keys().size()}} << std::endl;
  } else if (verb == "clean" && given.size() == 2) {
    std::cout << Json{{"removed", UnitStore(folder).remove_abandoned()}} << std::endl;
  } else {
    throw Usage({"probe_faults", "unknown verb", "read its source"});
  }
  return 0;
}
}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc > 1 && std::string_view(argv[1]) == "run") {
      distributed::Session session(argc, argv);
      start_log({.rank = session.world().rank()});
      return faults::run_synthetic(session, Json::parse(argv[2]));
    }
    return dispatch({argv + 1, argv + argc});
  } catch (const cmc::Error& e) {
    std::cerr << e.what() << std::endl;
    return static_cast<int>(e.code());
  }
}
