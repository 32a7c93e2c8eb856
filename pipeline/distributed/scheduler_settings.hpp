#pragma once
#include <functional>
#include <string>
#include <vector>

#include "pipeline/distributed/communicator.hpp"
#include "pipeline/distributed/nodes.hpp"
#include "pipeline/distributed/plan.hpp"

namespace cmc::distributed {

// What a worker does with a task; `group` has up to task.shares ranks, or group_ranks(task), all of which call this:
// block b of its model is on the ranks from b * task.tensor_parallel on. A group that holds a model and goes on with
// its residency gets the same communicator again: what was loaded may keep it. Throws on failure; Stopped when it ended
// early and can go on in a later run. Called on one thread of its own, always the same one.
using RunTask = std::function<void(const Task& task, const Communicator& group)>;

struct Progress {
  int done = 0, failed = 0, running = 0, total = 0;  // of this run: tasks finished before it do not count
  double work_done = 0, work_total = 0;              // estimated seconds on one rank
  double seconds_left = 0;                           // estimated, from the speed so far
  std::vector<std::string> current;                  // names of running tasks, by rank; "" idle
  std::vector<std::string> stalled;                  // "rank 3 is silent (for 12 s)", for people
};

struct SchedulerSettings {
  double poll_seconds = 0.005;                    // pause between polls: idle ranks use no core
  double stall_seconds = 600;                     // a rank silent for longer is named, its work given away
  Nodes nodes = {};                               // of the ranks; empty: all are on one
  int attempts = 2;                               // a task that throws is tried once more, elsewhere where possible
  std::function<void(const Progress&)> progress;  // rank 0; called at every change and every second
  std::function<bool()> stop;                     // any rank: true = take no new task (signal, time limit)
  // Rank 0: seconds until the job's time limit; a task that needs longer is left for the next run. Unset: no limit.
  std::function<double()> seconds_left;
};

}  // namespace cmc::distributed
