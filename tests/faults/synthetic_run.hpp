#pragma once
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <thread>

#include "pipeline/core/error.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/core/random.hpp"
#include "pipeline/distributed/scheduler.hpp"
#include "pipeline/distributed/session.hpp"
#include "pipeline/distributed/stop_request.hpp"
#include "pipeline/store/results.hpp"
#include "pipeline/store/unit_claim.hpp"
#include "pipeline/store/unit_store.hpp"

// A run as stages/running/run_experiment.cpp makes it, of tasks that take milliseconds and need no model: what is
// finished is left alone, each task is claimed, computed from its inputs' units and published, and all units are merged
// in the end.
namespace cmc::faults {

// "tasks" tasks, some of which need earlier ones, some for groups of ranks; the same for the same "seed".
inline distributed::Plan synthetic_plan(const Json& with) {
  Random random(with.at("seed").get<uint64_t>());
  distributed::Plan plan;
  for (int i = 0; i < with.at("tasks").get<int>(); ++i) {
    distributed::Task& task = plan.tasks.emplace_back();
    task.stage = "synthetic";
    task.name = "task " + std::to_string(i);
    task.parameters = {{"name", task.name}, {"seed", with.at("seed")}, {"milliseconds", 1 + 12 * random.uniform()}};
    for (const int back : {1, 5})
      if (i >= back && random.uniform() < 0.25) task.inputs.push_back(plan.tasks[i - back].key);
    task.residency = i % 3 == 0 ? "" : "model " + std::to_string(i % 3);
    task.seconds = 0.01;
    task.shares = random.uniform() < 0.2 ? 3 : 1;
    task.key = distributed::task_key(task.stage, task.parameters, task.inputs);
  }
  return plan;
}

inline std::vector<float> share_values(const std::string& key, int share) {
  Random random(seed_of({key, std::to_string(share)}));
  std::vector<float> values(200);
  for (float& value : values) value = static_cast<float>(random.uniform());
  return values;
}

// Every value depends on the task and on its inputs' units.
inline store::Unit compute(const distributed::Task& task, const distributed::Communicator& group,
                           const store::UnitStore& units) {
  const auto [first, last] = distributed::shares_of(group.rank(), group.size(), task.shares);
  std::vector<std::vector<float>> shares;
  for (int share = first; share < last; ++share) shares.push_back(share_values(task.key, share));
  const std::vector<std::span<const float>> mine(shares.begin(), shares.end());
  std::vector<float> sum(200);
  group.ordered_sum(mine, sum);
  for (const std::string& input : task.inputs) {
    const store::Unit read = units.read(input);
    const auto& values = std::get<std::vector<float>>(read.datasets.front().values);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += values[i] / 2;
  }
  std::this_thread::sleep_for(
      std::chrono::duration<double, std::milli>(task.parameters.at("milliseconds").get<double>()));
  store::Unit unit;
  unit.key = task.key;
  unit.stage = task.stage;
  unit.task = task.parameters;
  unit.provenance = {{"software", "cmc"}};
  unit.datasets = {{"value", {"element"}, {static_cast<int64_t>(sum.size())}, sum, "1", "sum over the shares", ""}};
  return unit;
}

// A line in one piece, so that those of several processes do not mix.
inline void note(const std::filesystem::path& file, const std::string& line) {
  std::ofstream out(file, std::ios::app);
  out << line + "\n" << std::flush;
}

inline void run_task(const distributed::Task& task, const distributed::Communicator& group,
                     const store::UnitStore& units, const Json& with, const distributed::StopRequest& stop) {
  std::optional<store::UnitClaim> claim;
  char needed = 0;
  if (group.rank() == 0) {
    claim = store::claim_unless_done(units, task.key,
                                     {.patience_seconds = task.taken_over ? 0 : with.value("patience", 600.0),
                                      .stop = [&] { return stop.asked(); },
                                      .first_wait = {}});
    needed = claim ? 1 : 0;
  }
  group.broadcast(std::as_writable_bytes(std::span(&needed, 1)), 0);
  if (needed == 0) return;
  const store::Unit unit = compute(task, group, units);
  if (group.rank() != 0) return;
  note(with.at("computed").get<std::string>(), task.key);
  units.publish(unit);
}

// {"folder", "seed", "tasks", "computed": file that gets the key of each computed task, "patience"?, "stall_seconds"?}
inline int run_synthetic(const distributed::Session& session, const Json& with) {
  const distributed::Plan plan = synthetic_plan(with);
  const store::UnitStore units(with.at("folder").get<std::string>());
  const distributed::StopRequest stop;
  std::vector<std::string> finished;
  if (session.world().rank() == 0) {
    units.remove_abandoned();
    finished = units.keys();
  }
  distributed::SchedulerSettings settings;
  settings.poll_seconds = 0.001;
  settings.stall_seconds = with.value("stall_seconds", settings.stall_seconds);
  settings.stop = [&] { return stop.asked(); };
  const distributed::Outcome outcome = distributed::run_plan(
      plan, finished, session.world(),
      [&](const distributed::Task& task, const distributed::Communicator& group) {
        run_task(task, group, units, with, stop);
      },
      settings);
  for (const auto& failure : outcome.failed) std::cerr << failure.name << ": " << failure.message << std::endl;
  if (outcome.stopped) return static_cast<int>(ExitCode::stopped);
  if (!outcome.failed.empty()) return static_cast<int>(ExitCode::some_failed);
  if (session.world().rank() != 0) return 0;
  store::write_results(units.folder(), {"Synthetic", "[run]\n", {{"version", "1"}}}, units.keys());
  units.remove_abandoned();
  return 0;
}

}  // namespace cmc::faults
