#pragma once
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "pipeline/distributed/plan.hpp"
#include "pipeline/distributed/rank_pool.hpp"

namespace cmc::distributed {

// The tasks of one residency (and size of group): whoever holds it can do them one after the other.
struct Bundle {
  Residency residency;
  double load_seconds = 0;                 // the longest that a task of it expects
  std::set<std::pair<double, int>> ready;  // (-critical seconds, task)
  double ready_seconds = 0;                // of these; rank_seconds, as all sums here
  int open = 0;                            // tasks that are not done, failed or left
  double open_seconds = 0;                 // of these
  int foreign = 0;  // inputs of these that other bundles have to make: until then who has it may have to leave it
};

// The tasks of a plan on their way: what waits for inputs, what is ready, what runs, what came of it. Knows no ranks
// but the one that failed a task.
class TaskGraph {
 public:
  enum class State { blocked, ready, running, done, failed, not_run };

  // `plan` is checked and outlives the graph; tasks whose key is in `finished` are done and not counted. Critical
  // seconds are those on `ranks` ranks.
  TaskGraph(const Plan& plan, const std::vector<std::string>& finished, int ranks);

  const Plan& plan() const { return plan_; }
  const Task& task(int task) const { return plan_.tasks[task]; }
  State state(int task) const { return nodes_[task].state; }
  int attempts(int task) const { return nodes_[task].attempts; }
  int failed_on(int task) const { return nodes_[task].failed_on; }  // the rank of the last attempt; none: no failure
  bool taken_over(int task) const { return nodes_[task].taken_over; }
  // From its start to the end of the plan; see critical_seconds.
  double critical_seconds(int task) const { return nodes_[task].critical_seconds; }

  int bundle_of(int task) const { return nodes_[task].bundle; }
  const Bundle& bundle(int id) const { return bundles_[id]; }
  std::vector<Residency> residencies() const;                    // by bundle
  const std::set<int>& ready_bundles() const { return ready_; }  // those with tasks in their queue
  const std::vector<int>& retries() const { return retries_; }   // ready tasks that failed before: in no queue

  int total() const { return total_; }
  int done() const { return done_; }
  double total_seconds() const { return total_seconds_; }
  double remaining_seconds() const { return remaining_seconds_; }  // of tasks that are not done, failed or left
  double ready_seconds() const { return ready_seconds_; }          // of the bundles' queues
  const std::map<std::string, double>& remaining_by_stage() const { return remaining_by_stage_; }

  void take(int task);                  // a ready task out of its queue
  void give_back(int task);             // into its queue again
  void start(int task);                 // one attempt more
  void finish(int task);                // tasks whose last input it was become ready
  void retry(int task, int failed_on);  // it is ready again, for another rank
  void take_over(int task);             // a rank that has it is lost: that attempt counts as none
  void fail(int task);                  // for good; what needs it is not run
  void drop(int task);                  // it is not run, nor is what needs it
  void interrupt(int task);             // it stopped at a checkpoint: a later run goes on with it

 private:
  struct Node {
    State state = State::blocked;
    int missing = 0;  // inputs that are not done
    int foreign = 0;  // of these, those that other bundles have to make
    int bundle = none;
    int attempts = 0;
    int failed_on = none;
    bool taken_over = false;
    double critical_seconds = 0;
    std::vector<int> dependents;
  };
  using BundleNumbers = std::map<std::tuple<std::string, int, int>, int>;

  void add(int task, BundleNumbers& numbers);
  void make_ready(int task);
  void close(int task, State state);
  void drop_dependents(int task);

  const Plan& plan_;
  std::vector<Node> nodes_;  // by task
  std::vector<Bundle> bundles_;
  std::set<int> ready_;
  std::vector<int> retries_;
  int total_ = 0, done_ = 0;
  double total_seconds_ = 0, remaining_seconds_ = 0, ready_seconds_ = 0;
  std::map<std::string, double> remaining_by_stage_;
};

}  // namespace cmc::distributed
