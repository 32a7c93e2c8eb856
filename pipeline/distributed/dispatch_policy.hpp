#pragma once
#include <map>
#include <optional>
#include <vector>

#include "pipeline/distributed/rank_pool.hpp"
#include "pipeline/distributed/running_tasks.hpp"
#include "pipeline/distributed/stage_speeds.hpp"
#include "pipeline/distributed/task_graph.hpp"

namespace cmc::distributed {

// How tasks with shares get ranks, where no rule is the best for every plan and number of ranks: find_approach().
struct Approach {
  // How long such a task may last, in times of the work that is ready or runs, spread over all ranks. More than 1
  // trusts others to make more work ready until it ends; less leaves ranks free for what will be ready.
  double outlast = 1;
  // Those that would decide the end on one rank start before all others, the longest first.
  bool long_first = false;
};

struct DispatchRules {
  int attempts = 2;        // how often a task is tried; on another rank where there is one
  double patience = 0.05;  // share of some work that ranks may idle for it, or spend on loading a model again
  Nodes nodes = {};        // of the ranks; empty: all are on one
  std::optional<Approach> approach = {};  // unset: a run or simulation finds one, a dispatcher takes the default
};

// Ranks that wait for others, to take a task together.
struct GroupInMaking {
  int task = none;
  size_t wanted = 1;               // ranks, of one group or several
  double until = never;            // it starts then with those that are there
  std::vector<int> ranks = {};     // reserved for it
  std::map<int, int> places = {};  // node: ranks there; of a new group that holds a model
  int avoid = none;                // a rank
  double complete = 0;             // when the ranks of a group that holds a model will be free
};

// All that the rules look at.
struct DispatchState {
  DispatchState(const Plan& plan, const std::vector<std::string>& finished, int ranks, const Nodes& nodes)
      : graph(plan, finished, ranks), pool(ranks, nodes, graph.residencies()), running(plan) {}

  TaskGraph graph;
  RankPool pool;
  RunningTasks running;
  StageSpeeds speeds;
  std::optional<GroupInMaking> making;  // one at a time
};

// The rules by which free ranks get tasks, in this order:
//  1. A failed task is tried again on another rank.
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
// A bundle may be held by groups of ranks, each block of a group on one node, on as few nodes as possible. Where too
// few ranks are free for that, those that become free on the nodes where a group is soonest complete wait for the
// others, if that costs little or there is nothing else to do. A group lasts until one of its ranks is needed elsewhere
// or fails. Ranks of a group that has more to do together are not waited for: each would take the model from the
// others. A task with several shares gets as many ranks as keep it from deciding the end, or from leaving ranks idle;
// no more: the Approach says how far that looks ahead. Where it is groups that work on the shares, it gets groups by
// the same rule. They keep nothing, so their ranks are free afterwards.
class DispatchPolicy {
 public:
  // `state` outlives the policy.
  DispatchPolicy(const DispatchState& state, const DispatchRules& rules)
      : state_(state), patience_(rules.patience), approach_(rules.approach.value_or(Approach{})) {}

  // The bundle that rules 2 to 6 say is next; the first among equals. `none`: no rank shall begin anything.
  int next_bundle(double now);
  // Whether a task that failed finds ranks now.
  bool can_retry(int task, double now) const;
  // Whether ranks that are left could ever run the bundle.
  bool can_ever_start(int bundle) const;

  // How many ranks a ready task shall have, and which: those of a free group that holds its model are named, else
  // only the nodes of a new one, or of several. No nodes: too few of the ranks can be waited for.
  GroupInMaking group_for(int task, double now) const;
  // The same for `groups` groups, or as many as there are ranks for.
  GroupInMaking place_groups(int task, int groups, double now) const;
  // The best free rank for the group; `none` where there is none. A rank that holds the bundle; else the one whose own
  // bundle is least likely to be needed again.
  int choose_rank(const GroupInMaking& group) const;
  // Free ranks that may take the group's task, those of its own included; of whole groups, where these have shares.
  size_t ranks_at_hand(const GroupInMaking& group, double now) const;
  enum class WithFew { start, wait, postpone };
  // What a task with shares does that finds `at_hand` ranks, fewer than it wants.
  WithFew decide_with_few(const GroupInMaking& group, size_t at_hand, double now) const;
  // Seconds that `ranks` may idle for others: together a small part of the task's work.
  double longest_wait(int task, size_t ranks) const;
  // Whether ranks that wait for others of a model's group cost more than their share of what it has to do.
  bool waits_too_long(const GroupInMaking& group, double now) const;
  // Of `ranks`, or the groups that they make, as many as the task's rounds need.
  static size_t useful_ranks(const Task& task, int ranks);

 private:
  enum class Rule { none, wait, unready, share, longest_unheld, resident, decides_the_end };
  struct Claim {  // of a bundle to be next
    Rule rule = Rule::none;
    double weight = 0;
    auto operator<=>(const Claim&) const = default;
  };
  struct Forecast {  // of a bundle: when a new group's ranks are free, and when that was found
    double asked_at = 0, complete_at = never;
  };

  Claim claim_of(int bundle, double now);
  double complete_at(int bundle, double now);
  bool is_worth_loading(int bundle, double seconds) const;
  bool may_return(int bundle) const;
  bool is_barred(int rank, int task) const;
  bool finds_ranks(int bundle, RankPool::Counted counted) const;
  int worth_keeping(int rank, int bundle) const;
  bool costs_too_much(double seconds, int ranks, double work) const { return seconds * ranks > patience_ * work; }
  double spread_work() const;
  double seconds_allowed(int task, double now) const;
  int wanted_groups(int task, double now) const;
  struct Member {  // of a group that may be made
    double free_at = never;
    int worth = 0;  // see worth_keeping
    auto operator<=>(const Member&) const = default;
  };
  using Members = std::vector<std::vector<Member>>;  // by node

  Members members_for(int task, int avoid, double now) const;
  static int most_fitting_node(const Members& members, const std::vector<int>& room, int size, int left);
  static std::vector<double> ends_of_blocks(const Members& members, int size);
  GroupInMaking place_group(int task, int groups, int avoid, double now) const;
  bool goes_on(int rank) const;
  double free_at(int rank, double now) const;
  std::vector<double> ends_of_busy(const GroupInMaking& group, double now) const;

  const DispatchState& state_;
  double patience_;
  Approach approach_;
  std::vector<Forecast> forecasts_;  // by bundle
};

}  // namespace cmc::distributed
