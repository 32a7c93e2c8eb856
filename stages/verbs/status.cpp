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

struct MissingTask {
  std::string key, name, stage;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("key", self.key), visit("name", self.name), visit("stage", self.stage);
  }
};

struct Status {
  std::string state = "unknown";
  std::vector<RunOverFolder> runs;  // the latest first
  std::vector<std::string> running;
  std::vector<FailedTask> failures;  // that no run has done since
  int64_t done = 0, total = 0;
  std::vector<MissingTask> missing;
  int64_t ranks = 1;
  double estimated_seconds_left = 0;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("state", self.state), visit("runs", self.runs);
    visit("running", self.running, records::Presence::optional), visit("failures", self.failures);
    visit("done", self.done), visit("total", self.total), visit("missing", self.missing);
    visit("ranks", self.ranks), visit("estimated_seconds_left", self.estimated_seconds_left);
  }
};

// A run that is at work; without a lock to be seen, as in a folder of an earlier version, the one that was last.
bool may_run(const std::vector<RunOverFolder>& runs, const RunOverFolder& run) {
  return run.live || (run.last.state == "running" && &run == &runs.front());
}

Status told_by_runs(std::vector<RunOverFolder> runs, const std::vector<std::string>& finished) {
  Status told;
  if (!runs.empty()) told.state = runs.front().last.state;
  std::set<std::string> failed;
  for (const auto& run : runs) {
    if (run.live) told.state = "running";
    if (may_run(runs, run)) told.running.insert(told.running.end(), run.last.running.begin(), run.last.running.end());
    for (const auto& failure : run.last.failures)
      if (!std::ranges::binary_search(finished, failure.key) && failed.insert(failure.key).second)
        told.failures.push_back(failure);
  }
  told.runs = std::move(runs);
  return told;
}

Status gather(const OutputFolder& output) {
  const store::UnitStore units(output.path());
  const std::vector<std::string> finished = units.keys();
  Status status = told_by_runs(runs_over(output.path()), finished);
  std::vector<std::string> done;
  distributed::Plan plan = output.plan();
  plan = measured_costs(plan, finished, units).calibrated(std::move(plan));
  for (const auto& task : plan.tasks)
    if (std::ranges::binary_search(finished, task.key))
      done.push_back(task.key);
    else
      status.missing.push_back({task.key, task.name, task.stage});
  int ranks = output.environment().value("ranks", 1);
  for (const auto& task : plan.tasks) ranks = std::max(ranks, distributed::group_ranks(task));
  status.done = std::ssize(done);
  status.total = std::ssize(plan.tasks);
  status.ranks = ranks;
  status.estimated_seconds_left = simulate_runs(plan, done, {ranks}, ranks).front().result->makespan;
  return status;
}

// "shard-0-of-8: 3 of 12 tasks" and what its ranks are at.
void print(const RunOverFolder& run) {
  std::cout << run.name;
  if (run.last.total) std::cout << ": " << run.last.done.value_or(0) << " of its " << *run.last.total << " tasks";
  std::cout << (run.live ? "" : ", last seen " + run.last.date) << "\n";
  for (const auto& name : run.last.running)
    if (!name.empty()) std::cout << "  running  " << name << "\n";
}

void print(const Status& status) {
  std::cout << status.done << " of " << status.total << " tasks are done; last seen " << status.state << "\n";
  for (const auto& run : status.runs)
    if (may_run(status.runs, run)) print(run);
  for (const auto& failure : status.failures)
    std::cout << "  failed   " << failure.name << ": " << failure.message << "\n";
  for (const auto& task : status.missing) std::cout << "  missing  " << task.name << "\n";
  if (!status.missing.empty())
    std::cout << "about " << clock_time(status.estimated_seconds_left) << " left on " << status.ranks << " ranks\n";
}

ExitCode run(const std::vector<std::string>& given, const distributed::Session& session) {
  po::options_description options("options");
  options.add_options()("json", "as JSON");
  Arguments arguments("status DIR [--json]", options, {"folder"});
  if (!arguments.parse(given) || session.world().rank() != 0) return ExitCode::done;
  const Status status = gather(OutputFolder(arguments.get("folder")));
  if (arguments.has("json"))
    std::cout << records::to_json(status).dump(2) << "\n";
  else
    print(status);
  return ExitCode::done;
}

}  // namespace

const Verb status_verb = {"status", "what is done, running, failed and missing of a run, from its files", run};

}  // namespace cmc::stages
