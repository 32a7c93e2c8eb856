#pragma once
#include <functional>
#include <string>
#include <vector>

#include "pipeline/dist/communicator.hpp"
#include "pipeline/dist/plan.hpp"

namespace cmc::dist {

// What a worker does with a task; `group` has up to task.shares ranks, all of which call this. Throws on failure.
using RunTask = std::function<void(const Task& task, const Communicator& group)>;

struct Progress {
  int done = 0, failed = 0, running = 0, total = 0;
  double work_done = 0, work_total = 0;  // estimated seconds
  std::vector<std::string> current;      // names of running tasks, by rank
};

struct SchedulerSettings {
  double poll_seconds = 0.005;            // pause between polls: idle ranks use no core
  double stall_seconds = 600;             // a rank silent for longer is named
  int attempts = 2;                       // a task that throws is tried once more, elsewhere where possible
  std::function<void(const Progress&)> progress;  // rank 0; called at every change and every second
  std::function<bool()> stop;             // any rank: true = take no new task (signal, time limit)
};

struct Failure { std::string key, name, message; int rank = 0; };

// What became of the plan; the same on every rank.
struct Outcome {
  int done = 0;
  std::vector<Failure> failed;            // after all attempts
  std::vector<std::string> not_run;       // inputs failed, or stopped before
  bool stopped = false;
};

// Collective. Runs every task whose key is not in `finished`, longest bundles first, on the ranks of `world`.
Outcome run_plan(const Plan& plan, const std::vector<std::string>& finished, const Communicator& world, const RunTask& run,
                 const SchedulerSettings& settings);

}  // namespace cmc::dist
