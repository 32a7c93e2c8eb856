#pragma once
#include <limits>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/distributed/nodes.hpp"
#include "pipeline/distributed/plan.hpp"

namespace cmc::distributed {

struct Failure {
  std::string key, name, message;
  int rank = 0;
  ExitCode code = ExitCode::internal;  // of the error that was thrown
};

// Codes of errors that another rank or a later task would meet as well: what is computed cannot be stored.
constexpr bool is_disk_failure(ExitCode code) {
  return code == ExitCode::io_error || code == ExitCode::cannot_create;
}

// What became of the plan. Tasks that were finished before the run are not counted.
struct Outcome {
  int done = 0;
  std::vector<Failure> failed;       // after all attempts
  std::vector<std::string> not_run;  // keys: inputs failed, or stopped before
  bool stopped = false;              // some tasks were left because the run was asked to stop: run again to go on
  std::vector<int> lost = {};        // ranks that do not answer; what they had was done elsewhere
};

// A task given to ranks.
struct Assignment {
  int id = 0;               // counts from 1
  int task = 0;             // index into the plan
  std::vector<int> ranks;   // the first is rank 0 of the group
  int loads = 0;            // how many of them do not hold the task's residency yet; a tensor-parallel group counts once
  int reloads = 0;          // of these, how many held it before and left it for another
  int tensor_group = 0;     // number of the tensor-parallel group; the same one: the same ranks, which kept their model; 0: none
  double seconds = 0;       // estimated, with loading
  bool taken_over = false;  // from a rank that is lost
};

enum class Result { done, failed, stopped };

struct DispatchRules {
  int attempts = 2;        // how often a task is tried; on another rank where there is one
  double patience = 0.05;  // share of some work that ranks may idle for it, or spend on loading a model again
  Nodes nodes = {};        // of the ranks; empty: all are on one
};

// Decides which ranks run which task, from events alone: no clock, no MPI, no threads. Its rules, in this order:
//  1. A failed task is tried again on another rank. Where the disk fails it for good (is_disk_failure), or as many
//  tasks in a row as it has attempts, no other starts: nothing of it could be stored.
//  2. A task whose critical path is longer than all remaining work spread over the ranks starts first: it decides the
//  end.
//  3. A free rank goes on with the bundle (tasks of one residency) that it holds.
//  4. Otherwise it takes the longest bundle that nobody holds and that can be done in one go, so that its model is
//  loaded once; a task without residency is a bundle of its own.
//  5. Otherwise it shares the bundle with the most work for each holder, where that saves more than loading costs.
//  6. Otherwise it takes the longest bundle that still waits for tasks of others: who takes or shares one may have to
//  leave it, so what is ready there must be worth it.
// A rank does not go back to a bundle that it has left, unless nobody else can have it or loading it again is a small
// part of what is left there: a group loads a model once.
// A bundle of gangs is held by groups of ranks of one node. Where no node has so many free ranks, those that become
// free on the node where a group is soonest complete wait for the others, if that costs little or there is nothing else
// to do. A group lasts until one of its ranks is needed elsewhere or fails.
// A task with several shares gets as many ranks as keep it from deciding the end, or from leaving ranks idle; no more.
class Dispatcher {
 public:
  static constexpr double never = std::numeric_limits<double>::infinity();

  // `plan` is checked by the caller (check, check_tensor_groups) and outlives the dispatcher. All ranks are free.
  Dispatcher(const Plan& plan, const std::vector<std::string>& finished, int ranks, DispatchRules rules);

  // What free ranks shall do. `now` and `seconds_left` in seconds: a task that needs more than is left is not started,
  // unless it is resumable. Call after events and at wake_up().
  std::vector<Assignment> assign(double now, double seconds_left = never);
  // When `assign` must be called although nothing happens (a group that waits for more ranks); `never` otherwise.
  double wake_up() const { return gather_.task < 0 ? never : gather_.until; }

  // `rank` has ended its part of assignment `id` and is free. Returns the ranks that shall give up the rest of it.
  std::vector<int> report(double now, int id, int rank, Result result, const std::string& message = "",
                          ExitCode code = ExitCode::internal);
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

  int done() const { return done_; }
  int failed() const { return static_cast<int>(failures_.size()); }
  int total() const { return total_; }
  double work_done() const { return work_total_ - remaining_; }  // estimated seconds
  double work_total() const { return work_total_; }
  const std::unordered_map<int, Assignment>& running() const { return running_; }
  std::vector<int> awaited(int id) const;  // ranks that have not reported their part of a running assignment
  int assignment_of(int rank) const;       // that it has not reported; 0: none
  // Measured over estimated seconds of the stage's tasks that have ended; before any has, of all tasks; 1 before.
  double slowness(const std::string& stage) const;
  double work_left() const;  // expected seconds on one rank, from the speeds so far; running tasks count whole

 private:
  enum class State { blocked, ready, running, done, failed, not_run };
  static constexpr int nothing = -1;

  struct Item {  // of a task
    State state = State::blocked;
    int missing = 0;  // inputs that are not done
    int foreign = 0;  // of these, those that other bundles have to make
    int bundle = nothing;
    int attempts = 0;
    int avoid = nothing;  // the rank that failed it
    bool taken_over = false;
    double critical = 0;  // seconds from its start to the end of the plan
    std::vector<int> dependents;
  };
  struct Count {  // of ranks
    int free = 0, alive = 0;
  };
  struct Bundle {
    double load = 0;
    int tensor_parallel = 1;
    bool resident = false;
    std::set<std::pair<double, int>> ready;  // (-critical seconds, task)
    double ready_seconds = 0;
    double open_seconds = 0;  // of tasks that are not done
    int open = 0;             // tasks that are not done
    int foreign = 0;  // inputs of these that other bundles have to make: until then who has it may have to leave it
    Count had;        // ranks that hold it or have held it
    std::vector<Count> had_on;                 // the same by node; of a bundle of gangs
    int holders = 0, free_holders = 0;         // ranks, or gangs
    double asked_at = 0, complete_at = never;  // when a new gang's ranks are free, and when that was found
  };
  struct Rank {
    enum class State { free, busy, gathered, lost } state = State::free;
    int holds = nothing;  // bundle
    int tensor_group = 0; // holds a part of the gang's model instead; 0: none
    int assignment = 0;
    int node = 0;
    std::set<int> had;  // bundles it has held
  };
  struct Gang {
    int bundle = nothing;
    std::vector<int> ranks;
    bool busy = true;
  };
  struct Speed {  // of a stage
    double remaining = 0, measured = 0, estimated = 0;
    double started_work = 0, started_ranks = 0, started_at = 0;  // sums over the ranks that have its tasks now
  };
  struct Gather {  // a group in the making
    int task = nothing;
    size_t wanted = 0;
    double until = 0;
    std::vector<int> ranks = {};
    int node = nothing;   // of a gang
    int avoid = nothing;  // a rank
    double complete = 0;  // when a gang's ranks will be free
  };
  struct Ending {  // of an assignment some members of which have reported
    double started = 0;
    std::set<int> waiting;
    Result result = Result::done;
    std::string message;
    int rank = 0;
    ExitCode code = ExitCode::internal;
  };

  void add_tasks(const std::vector<std::string>& finished);
  void make_ready(int task);
  void take_from_queue(int task);
  void close(int task, State state);
  void finish(int task);
  void drop_dependents(int task);
  void end(double now, int id, const Ending& ending);
  void retry_or_fail(int task, const Ending& ending);

  enum class Rule { none, wait, unready, share, longest_unheld, resident, decides_the_end };
  struct Claim {  // of a bundle to be next
    Rule rule = Rule::none;
    double weight = 0;
    auto operator<=>(const Claim&) const = default;
  };
  int choose_bundle(double now);
  Claim claim_of(int bundle, double now);
  bool retry_one(double now, double seconds_left, std::vector<Assignment>& made);
  int choose_rank(int task, int avoid, int node = nothing) const;
  void count_running(const Assignment& assignment, double started, int change);
  double running_work_left(double now) const;
  double seconds_allowed(int task, double now) const;
  size_t wanted_ranks(int task, double now) const;
  static size_t useful_ranks(const Task& work, int ranks);
  size_t ranks_at_hand(const Gather& group) const;
  double longest_wait(int task, size_t ranks) const;
  std::vector<double> ends_of_busy(double now) const;
  enum class WithFew { start, wait, postpone };
  WithFew decide_with_few(const Gather& group, size_t at_hand, double now) const;
  void start_with(Gather group, double now, std::vector<Assignment>& made);
  void place(int task, double now, double seconds_left, std::vector<Assignment>& made);
  void continue_gathering(double now, std::vector<Assignment>& made);
  void start(int task, std::vector<int> ranks, double now, std::vector<Assignment>& made);
  void gather(Gather& group);
  void cancel_gathering();
  void reconsider_gang(double now);

  bool can_host(int gang) const;
  bool can_place(int task, double now) const;
  double gang_complete_at(int bundle, double now);
  bool waits_too_long(double seconds, int gang, double work) const;
  Gather seats(int task, double now) const;
  Gather seats_on_a_node(int task, int avoid, double now) const;
  double free_at(int rank, double now) const;
  int join_gang(int bundle, const std::vector<int>& ranks);
  void end_gang_task(const Assignment& assignment, Result result);
  void dissolve(int gang);

  int held_by(int rank) const;
  int worth_keeping(int rank, int bundle) const;
  void set_state(int rank, Rank::State state);
  void hold(int rank, int bundle);
  void remember_held(int rank, int bundle);
  void forget_held(int rank);
  void count_had(int rank, int Count::*which, int change);
  bool has_had(int rank, int bundle) const { return ranks_[rank].had.contains(bundle); }
  bool has_others(const Bundle& bundle, int Count::*which) const;
  bool is_worth_loading(const Bundle& bundle, double seconds) const;
  bool may_return(const Bundle& bundle) const;
  bool is_barred(int rank, int task) const;
  bool finds_ranks(int bundle, int Count::*which) const;
  double spread_work() const { return remaining_ / std::max(alive_, 1); }

  const Plan& plan_;
  DispatchRules rules_;
  std::vector<Item> items_;
  std::vector<Bundle> bundles_;
  std::vector<Rank> ranks_;
  std::set<int> free_;    // ranks
  std::set<int> active_;  // bundles with ready tasks
  std::vector<Count> nodes_;
  std::map<int, Gang> gangs_;
  std::vector<int> retries_;
  std::vector<int> postponed_;  // shared tasks for which more ranks are better waited for; within `assign`
  Gather gather_;
  std::unordered_map<int, Assignment> running_;
  std::unordered_map<int, Ending> endings_;
  std::vector<Failure> failures_;
  std::map<std::string, Speed> speeds_;  // by stage
  int alive_, done_ = 0, total_ = 0, last_id_ = 0, last_gang_ = 0;
  bool stop_ = false, left_by_stop_ = false, disk_failed_ = false;
  int disk_failures_ = 0;  // in a row, of any tasks: a retry may have to wait long for another rank
  double remaining_ = 0, ready_seconds_ = 0, running_seconds_ = 0, work_total_ = 0;
  Speed all_;  // measured and estimated over all stages
};

}  // namespace cmc::distributed
