#pragma once
#include <string>
#include <vector>

#include "pipeline/distributed/dispatch_policy.hpp"
#include "pipeline/distributed/outcome.hpp"

namespace cmc::distributed {

// Decides which ranks run which task, from events alone: no clock, no MPI, no threads. Events change the state (the
// graph of tasks, the pool of ranks, what runs, the speeds of stages); DispatchPolicy says what free ranks do next.
// Where the disk fails a task for good (is_disk_failure), or as many tasks in a row as a task has attempts, no other
// starts: nothing of it could be stored.
class Dispatcher {
 public:
  // `plan` is checked by the caller (check, check_groups) and outlives the dispatcher. All ranks are free.
  Dispatcher(const Plan& plan, const std::vector<std::string>& finished, int ranks, DispatchRules rules);
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // What free ranks shall do. `now` and `seconds_left` in seconds: a task that needs more than is left is not started,
  // unless it is resumable. Call after events and at wake_up().
  std::vector<Assignment> assign(double now, double seconds_left = never);
  // When `assign` must be called although nothing happens (a group that waits for more ranks); `never` otherwise.
  double wake_up() const { return state_.making ? state_.making->until : never; }

  // `rank` has ended its part of assignment `id` and is free. Returns the ranks that shall give up the rest of it.
  std::vector<int> report(double now, int id, int rank, Report report);
  // A rank is gone: its task is tried elsewhere, which is no attempt of the task. Returns the ranks that shall give up.
  std::vector<int> lost(double now, int rank);
  // A lost rank is back and free.
  void found(int rank);
  // A lost rank has done the task that it had alone: it does not start again, unless it has.
  void done_late(int task);
  // No task starts from now on.
  void stop() { stop_ = true; }

  bool complete() const;    // nothing runs and nothing more can start
  Outcome outcome() const;  // of a complete run

  const TaskGraph& graph() const { return state_.graph; }
  const RunningTasks& running() const { return state_.running; }
  const StageSpeeds& speeds() const { return state_.speeds; }
  int failed() const { return static_cast<int>(failures_.size()); }
  int assignment_of(int rank) const;  // that it has not reported; 0: none
  double work_left() const;           // expected seconds of ranks, from the speeds so far; running tasks count whole

 private:
  void end(double now, int id);
  void finish(int task);
  void retry_or_fail(const RunningTask& failed);

  bool retry_one(double now, double seconds_left, std::vector<Assignment>& made);
  void place(int task, double now, double seconds_left, std::vector<Assignment>& made, bool waited = false);
  DispatchPolicy::WithFew fit_to_ranks(GroupInMaking& group, double now, bool waited) const;
  void gather(GroupInMaking& group);
  void continue_gathering(double now, double seconds_left, std::vector<Assignment>& made);
  void cancel_gathering();
  void start(GroupInMaking group, double now, std::vector<Assignment>& made);
  void load(Assignment& assignment);

  DispatchRules rules_;
  DispatchState state_;
  DispatchPolicy policy_;
  std::vector<int>
      postponed_;  // tasks with shares for which more ranks have to be, or are better, waited for; within `assign`
  std::vector<Failure> failures_;
  int last_id_ = 0;
  int disk_failures_ = 0;  // in a row, of any tasks: a retry may have to wait long for another rank
  bool stop_ = false, left_by_stop_ = false, disk_failed_ = false;
};

}  // namespace cmc::distributed
