// How many ranks a task gets, and how long it waits for them.
#include <algorithm>
#include <tuple>
#include <utility>

#include "pipeline/distributed/dispatch_policy.hpp"

namespace cmc::distributed {

GroupInMaking DispatchPolicy::group_for(int task, double now) const {
  const Task& work = state_.graph.task(task);
  const int avoid = state_.graph.failed_on(task);
  const int groups = work.shares > 1 ? wanted_groups(task, now) : 1;
  if (group_ranks(work) == 1) return {.task = task, .wanted = static_cast<size_t>(groups), .avoid = avoid};
  if (const RankPool::TensorGroup* free = state_.pool.free_group(state_.graph.bundle_of(task)))
    return {.task = task, .wanted = free->ranks.size(), .ranks = free->ranks};
  return place_groups(task, groups, now);
}

GroupInMaking DispatchPolicy::place_groups(int task, int groups, double now) const {
  GroupInMaking elsewhere = place_group(task, groups, state_.graph.failed_on(task), now);
  return elsewhere.places.empty() ? place_group(task, groups, none, now) : elsewhere;
}

// The ranks that may be in a new group, those that are free first.
DispatchPolicy::Members DispatchPolicy::members_for(int task, int avoid, double now) const {
  const RankPool& pool = state_.pool;
  const int id = state_.graph.bundle_of(task);
  Members members(pool.nodes());
  for (int rank = 0; rank < pool.size(); ++rank) {
    if (pool.state(rank) == RankPool::State::lost || rank == avoid) continue;
    const bool holds = pool.held_by(rank) == id && state_.graph.bundle(id).residency.kept;
    if (holds || is_barred(rank, task)) continue;
    const bool is_free = pool.state(rank) == RankPool::State::free;  // who is about to end is not yet free
    const double at = is_free ? -never : free_at(rank, now);
    if (at < never) members[pool.node(rank)].push_back({at, worth_keeping(rank, id)});
  }
  for (auto& here : members) std::ranges::sort(here);
  return members;
}

// When each block that the nodes have room for is complete, the soonest first.
std::vector<double> DispatchPolicy::ends_of_blocks(const Members& members, int size) {
  std::vector<double> ends;
  for (const auto& here : members)
    for (size_t last = size; last <= here.size(); last += size) ends.push_back(here[last - 1].free_at);
  std::ranges::sort(ends);
  return ends;
}

// The nodes where new groups are complete first; of these the fewest, and those whose ranks are missed least elsewhere.
GroupInMaking DispatchPolicy::place_group(int task, int groups, int avoid, double now) const {
  const auto [size, blocks_each, kept] = state_.graph.bundle(state_.graph.bundle_of(task)).residency;
  GroupInMaking group{.task = task, .avoid = avoid, .complete = never};
  const Members members = members_for(task, avoid, now);
  const auto ends = ends_of_blocks(members, size);
  const int most = std::min(groups, static_cast<int>(ends.size()) / blocks_each);
  if (most == 0) return group;
  group.wanted = useful_ranks(state_.graph.task(task), most * blocks_each * size);
  const int blocks = static_cast<int>(group.wanted) / size;
  group.complete = ends[blocks - 1];
  std::vector<int> room;  // blocks on each node until then
  for (const auto& here : members)
    room.push_back(
        static_cast<int>(std::ranges::upper_bound(here, group.complete, {}, &Member::free_at) - here.begin()) / size);
  for (int left = blocks; left > 0;) {
    const int node = most_fitting_node(members, room, size, left);
    const int taken = std::min(left, std::exchange(room[node], 0));
    group.places[node] = taken * size, left -= taken;
  }
  return group;
}

// The node that takes the most of the blocks that are left; of these one whose ranks are missed least elsewhere, then
// one with the least room beside.
int DispatchPolicy::most_fitting_node(const Members& members, const std::vector<int>& room, int size, int left) {
  int best = none;
  std::tuple<int, int, int> least;
  for (int node = 0; node < std::ssize(room); ++node) {
    const int taken = std::min(left, room[node]);
    int worth = 0;
    for (int i = 0; i < taken * size; ++i) worth += members[node][i].worth;
    const std::tuple missed(-taken, worth, room[node]);
    if (best == none || missed < least) best = node, least = missed;
  }
  return best;
}

double DispatchPolicy::free_at(int rank, double now) const {
  if (state_.pool.state(rank) == RankPool::State::free) return now;
  if (goes_on(rank)) return never;
  const int assignment = state_.pool.assignment(rank);
  if (!state_.running.contains(assignment)) return never;  // reserved for another group
  return state_.running.expected_end(assignment, now, state_.speeds);
}

// Whether the rank belongs to a group that has more to do together.
bool DispatchPolicy::goes_on(int rank) const {
  const int held = state_.pool.held_by(rank);
  if (held == none) return false;
  const Bundle& bundle = state_.graph.bundle(held);
  return bundle.residency.kept && bundle.residency.group() > 1 && !bundle.ready.empty();
}

// When the busy ranks are free, or the groups complete of which some are, the soonest first.
std::vector<double> DispatchPolicy::ends_of_busy(const GroupInMaking& group, double now) const {
  std::vector<double> ends;
  if (!group.places.empty()) {
    const auto [size, blocks, kept] = state_.graph.bundle(state_.graph.bundle_of(group.task)).residency;
    const auto all = ends_of_blocks(members_for(group.task, group.avoid, now), size);
    for (size_t last = blocks; last <= all.size(); last += blocks)
      if (all[last - 1] > -never) ends.push_back(all[last - 1]);
    return ends;
  }
  for (int rank = 0; rank < state_.pool.size(); ++rank)
    if (state_.pool.state(rank) == RankPool::State::busy) ends.push_back(free_at(rank, now));
  std::ranges::sort(ends);
  return ends;
}

// What `task` may take without deciding the end: all work spread over the ranks, less what must come after it.
double DispatchPolicy::seconds_allowed(int task, double now) const {
  const Task& work = state_.graph.task(task);
  const double after = state_.graph.critical_seconds(task) -
                       seconds_on(work, std::min<int>(work.shares * group_ranks(work), state_.pool.size()));
  const double left =
      state_.graph.remaining_seconds() - state_.running.seconds() + state_.running.work_left(now, state_.speeds);
  return left / state_.pool.alive() - after;
}

// As many as keep the task from deciding the end, and from outlasting the work that is ready or runs (ranks would idle
// until it ends), by more than the approach trusts other tasks to make ready.
int DispatchPolicy::wanted_groups(int task, double now) const {
  const Task& work = state_.graph.task(task);
  const int each = group_ranks(work), most = std::min(work.shares, state_.pool.alive() / each);
  const double ready_or_running = state_.graph.ready_seconds() + state_.running.work_left(now, state_.speeds);
  const double spread_now = (ready_or_running + rank_seconds(work)) / state_.pool.alive();
  const double allowed = std::min(spread_now * approach_.outlast, seconds_allowed(task, now)) * (1 + 1e-9);
  int wanted = 1;
  while (wanted < most && seconds_on(work, wanted * each) > allowed) ++wanted;
  return static_cast<int>(useful_ranks(work, wanted * each)) / each;
}

size_t DispatchPolicy::useful_ranks(const Task& task, int ranks) {
  const int each = group_ranks(task), groups = ranks / each;
  const int rounds = (task.shares + groups - 1) / groups;
  return static_cast<size_t>((task.shares + rounds - 1) / rounds * each);
}

double DispatchPolicy::longest_wait(int task, size_t ranks) const {
  return patience_ * rank_seconds(state_.graph.task(task)) / static_cast<double>(ranks);
}

bool DispatchPolicy::waits_too_long(const GroupInMaking& group, double now) const {
  const Bundle& bundle = state_.graph.bundle(state_.graph.bundle_of(group.task));
  const double work = bundle.ready_seconds + rank_seconds(state_.graph.task(group.task));
  return costs_too_much(group.complete - now, bundle.residency.group(), work);
}

// It waits with those at hand where the others are expected soon. It is postponed, and those at hand do something else,
// where it would decide the end with them and gains more than it waits when it starts later with ranks that are busy
// now.
DispatchPolicy::WithFew DispatchPolicy::decide_with_few(const GroupInMaking& group, size_t at_hand, double now) const {
  const Task& work = state_.graph.task(group.task);
  const auto ends = ends_of_busy(group, now);
  const size_t each = group_ranks(work), missing = (group.wanted - at_hand) / each;
  const bool soon = ends.size() >= missing && ends[missing - 1] - now <= longest_wait(group.task, at_hand);
  if (soon && !state_.making) return WithFew::wait;
  const double at_once = seconds_on(work, static_cast<int>(at_hand));
  if (state_.graph.failed_on(group.task) != none || at_once <= seconds_allowed(group.task, now)) return WithFew::start;
  for (size_t more = 1; more <= std::min(ends.size(), missing); ++more) {
    const double wait = ends[more - 1] - now;
    if (at_once - (wait + seconds_on(work, static_cast<int>(at_hand + more * each))) > wait) return WithFew::postpone;
  }
  return WithFew::start;
}

}  // namespace cmc::distributed
