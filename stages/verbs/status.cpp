#include <algorithm>
#include <iostream>
#include <set>

#include "pipeline/store/unit_store.hpp"
#include "stages/running/measured_costs.hpp"
#include "stages/running/output_folder.hpp"
#include "stages/running/progress_line.hpp"
#include "stages/running/run_log.hpp"
#include "stages/running/simulated_runs.hpp"
#include "stages/verbs/verb.hpp"

namespace cmc::stages {
namespace {

namespace po = boost::program_options;

// A run that is at work; without a lock to be seen, as in a folder of an earlier version, the one that was last.
bool may_run(const std::vector<Json>& runs, const Json& run) {
  return run.at("live") || (run.value("state", "") == "running" && &run == &runs.front());
}

// What the runs over the folder say: "state", "runs", "running", and "failures" of tasks that no run has done since.
Json told_by_runs(const std::vector<Json>& runs, const std::vector<std::string>& finished) {
  Json told = {{"state", runs.empty() ? "unknown" : runs.front().value("state", "unknown")},
               {"runs", runs},
               {"failures", Json::array()}};
  std::set<std::string> failed;
  for (const Json& run : runs) {
    if (run.at("live")) told["state"] = "running";
    if (may_run(runs, run) && run.contains("running"))
      for (const auto& name : run.at("running")) told["running"].push_back(name);
    if (run.contains("failures"))
      for (const auto& failure : run.at("failures")) {
        const std::string key = failure.value("key", "");
        if (!std::ranges::binary_search(finished, key) && failed.insert(key).second)
          told["failures"].push_back(failure);
      }
  }
  return told;
}

Json gather(const OutputFolder& output) {
  const store::UnitStore units(output.path());
  const std::vector<std::string> finished = units.keys();
  Json status = told_by_runs(states_of_runs(output.path()), finished);
  Json missing = Json::array();
  std::vector<std::string> done;
  distributed::Plan plan = output.plan();
  plan = measured_costs(plan, finished, units).calibrated(std::move(plan));
  for (const auto& task : plan.tasks)
    if (std::ranges::binary_search(finished, task.key))
      done.push_back(task.key);
    else
      missing.push_back({{"key", task.key}, {"name", task.name}, {"stage", task.stage}});
  int ranks = output.environment().value("ranks", 1);
  for (const auto& task : plan.tasks) ranks = std::max(ranks, task.tensor_parallel);
  status["done"] = done.size();
  status["total"] = plan.tasks.size();
  status["missing"] = missing;
  status["ranks"] = ranks;
  status["estimated_seconds_left"] = simulate_runs(plan, done, {ranks}, ranks).front().result.makespan;
  return status;
}

// "shard-0-of-8: 3 of 12 tasks" and what its ranks are at.
void print_run(const Json& run) {
  std::cout << run.at("name").get<std::string>();
  if (run.contains("total")) std::cout << ": " << run.at("done") << " of its " << run.at("total") << " tasks";
  std::cout << (run.at("live") ? "" : ", last seen " + run.value("date", "")) << "\n";
  if (!run.contains("running")) return;
  for (const auto& name : run.at("running"))
    if (!name.get<std::string>().empty()) std::cout << "  running  " << name.get<std::string>() << "\n";
}

void print(const Json& status) {
  std::cout << status.at("done") << " of " << status.at("total") << " tasks are done; last seen "
            << status.at("state").get<std::string>() << "\n";
  const auto runs = status.at("runs").get<std::vector<Json>>();
  for (const Json& run : runs)
    if (may_run(runs, run)) print_run(run);
  for (const auto& f : status.at("failures"))
    std::cout << "  failed   " << f.at("name").get<std::string>() << ": " << f.at("message").get<std::string>() << "\n";
  for (const auto& task : status.at("missing"))
    std::cout << "  missing  " << task.at("name").get<std::string>() << "\n";
  if (!status.at("missing").empty())
    std::cout << "about " << clock_time(status.at("estimated_seconds_left")) << " left on " << status.at("ranks")
              << " ranks\n";
}

ExitCode run(const std::vector<std::string>& given, const distributed::Session& session) {
  po::options_description options("options");
  options.add_options()("json", "as JSON");
  Arguments arguments("status DIR [--json]", options, {"folder"});
  if (!arguments.parse(given) || session.world().rank() != 0) return ExitCode::done;
  const Json status = gather(OutputFolder(arguments.get("folder")));
  if (arguments.has("json"))
    std::cout << status.dump(2) << "\n";
  else
    print(status);
  return ExitCode::done;
}

}  // namespace

const Verb status_verb = {"status", "what is done, running, failed and missing of a run, from its files", run};

}  // namespace cmc::stages
