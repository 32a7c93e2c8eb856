// What the dispatcher's free ranks do next, by the policy.
#include <algorithm>
#include <utility>

#include "pipeline/distributed/dispatcher.hpp"

namespace cmc::distributed {

std::vector<Assignment> Dispatcher::assign(double now, double seconds_left) {
  std::vector<Assignment> made;
  if (stop_ || disk_failed_) {
    if (state_.making) cancel_gathering();
    return made;
  }
  // Ranks that wait long for others of a model's group do so only while they have nothing else to do.
  if (state_.making && !state_.making->places.empty() && policy_.waits_too_long(*state_.making, now))
    cancel_gathering();
  continue_gathering(now, seconds_left, made);
  while (!state_.pool.free().empty() && retry_one(now, seconds_left, made)) {
  }
  while (!state_.pool.free().empty()) {
    const int bundle = policy_.next_bundle(now);
    if (bundle == none) break;
    place(state_.graph.bundle(bundle).ready.begin()->second, now, seconds_left, made);
  }
  for (const int task : std::exchange(postponed_, {})) state_.graph.give_back(task);
  return made;
}

bool Dispatcher::retry_one(double now, double seconds_left, std::vector<Assignment>& made) {
  const auto& retries = state_.graph.retries();
  const auto retry = std::ranges::find_if(retries, [&](int task) { return policy_.can_retry(task, now); });
  if (retry == retries.end()) return false;
  place(*retry, now, seconds_left, made);
  return true;
}

// What a task does that wants more ranks than are free. Several groups of which some can start shrink to these.
DispatchPolicy::WithFew Dispatcher::fit_to_ranks(GroupInMaking& group, double now, bool waited) const {
  using WithFew = DispatchPolicy::WithFew;
  const Task& work = state_.graph.task(group.task);
  if (work.shares == 1 || group.wanted == 1) return WithFew::wait;
  const size_t at_hand = policy_.ranks_at_hand(group, now);
  if (at_hand >= group.wanted) return WithFew::wait;
  const int each = group_ranks(work);
  if (at_hand == 0 && each > 1) {  // the first of the groups is waited for
    group = policy_.place_groups(group.task, 1, now);
    return WithFew::wait;
  }
  const WithFew with_few = waited ? WithFew::start : policy_.decide_with_few(group, at_hand, now);
  if (with_few == WithFew::start && each > 1)
    group = policy_.place_groups(group.task, static_cast<int>(at_hand) / each, now);
  else if (with_few == WithFew::wait)
    group.until = now + policy_.longest_wait(group.task, at_hand);
  return with_few;
}

// Gives a ready task to the best free ranks, or lets them wait for more, unless they have `waited` before, or gives it
// up when too little time is left.
void Dispatcher::place(int task, double now, double seconds_left, std::vector<Assignment>& made, bool waited) {
  using WithFew = DispatchPolicy::WithFew;
  const Task& work = state_.graph.task(task);
  state_.graph.take(task);
  GroupInMaking group = policy_.group_for(task, now);
  if (group_ranks(work) > 1 && group.places.empty() && group.ranks.empty()) {
    expect(waited, "a group is placed where it has nodes");
    return postponed_.push_back(task);
  }
  const double seconds = seconds_on(work, static_cast<int>(group.wanted)) * state_.speeds.slowness(work.stage);
  if (!work.resumable && seconds > seconds_left) {
    left_by_stop_ = true;
    return state_.graph.drop(task);
  }
  const WithFew with_few = fit_to_ranks(group, now, waited);
  if (with_few == WithFew::postpone) return postponed_.push_back(task);
  gather(group);
  if (group.ranks.size() == group.wanted || with_few == WithFew::start) return start(std::move(group), now, made);
  expect(!state_.making, "one group of ranks gathers at a time");
  state_.making = std::move(group);
}

void Dispatcher::gather(GroupInMaking& group) {
  while (group.ranks.size() < group.wanted) {
    const int rank = policy_.choose_rank(group);
    if (rank == none) return;
    state_.pool.reserve(rank);
    group.ranks.push_back(rank);
  }
}

void Dispatcher::cancel_gathering() {
  const GroupInMaking group = *std::exchange(state_.making, std::nullopt);
  for (const int rank : group.ranks) state_.pool.release(rank);
  state_.graph.give_back(group.task);
}

void Dispatcher::continue_gathering(double now, double seconds_left, std::vector<Assignment>& made) {
  if (!state_.making) return;
  GroupInMaking& group = *state_.making;
  gather(group);
  const bool may_wait = !group.places.empty() || !state_.running.empty();
  if (group.ranks.size() < group.wanted && now < group.until && may_wait) return;
  const int task = group.task;
  const Task& work = state_.graph.task(task);
  if (group_ranks(work) > 1 && work.shares > 1) {  // the groups that can start now may be others
    cancel_gathering();
    return place(task, now, seconds_left, made, true);
  }
  start(*std::exchange(state_.making, std::nullopt), now, made);
}

// With the group's ranks, but for those that would not make the task shorter.
void Dispatcher::start(GroupInMaking group, double now, std::vector<Assignment>& made) {
  const Task& work = state_.graph.task(group.task);
  const int at_hand = static_cast<int>(group.ranks.size());
  const bool holds_model = group_ranks(work) > 1;
  const size_t useful = holds_model ? group.wanted : DispatchPolicy::useful_ranks(work, at_hand);
  for (; group.ranks.size() > useful; group.ranks.pop_back()) state_.pool.release(group.ranks.back());
  // Neighbours in the job are neighbours in the group. On a node of a group are whole blocks, so they lie one by one.
  const auto place = [&](int rank) { return std::pair(holds_model ? state_.pool.node(rank) : 0, rank); };
  std::ranges::sort(group.ranks, {}, place);
  state_.graph.start(group.task);
  Assignment assignment{.id = ++last_id_,
                        .task = group.task,
                        .ranks = std::move(group.ranks),
                        .taken_over = state_.graph.taken_over(group.task)};
  load(assignment);
  for (const int rank : assignment.ranks) state_.pool.occupy(rank, assignment.id);
  assignment.seconds = seconds_on(work, static_cast<int>(assignment.ranks.size()));
  if (assignment.loads > 0) assignment.seconds += state_.graph.bundle(state_.graph.bundle_of(group.task)).load_seconds;
  state_.running.start(assignment, now);
  made.push_back(std::move(assignment));
}

// The ranks hold what the task needs, which some may have to load.
void Dispatcher::load(Assignment& assignment) {
  RankPool& pool = state_.pool;
  const int bundle = state_.graph.bundle_of(assignment.task);
  const Residency& residency = state_.graph.bundle(bundle).residency;
  if (residency.group() > 1) {
    const bool had = std::ranges::any_of(assignment.ranks, [&](int rank) { return pool.has_had(rank, bundle); });
    const auto [number, made] = pool.join_group(bundle, assignment.ranks);
    assignment.tensor_group = number;
    if (residency.kept && made) assignment.loads = 1, assignment.reloads = had ? 1 : 0;
    return;
  }
  if (!residency.kept) return;
  for (const int rank : assignment.ranks) {
    if (pool.held_by(rank) == bundle) continue;
    ++assignment.loads, assignment.reloads += pool.has_had(rank, bundle) ? 1 : 0;
    pool.hold(rank, bundle);
  }
}

}  // namespace cmc::distributed
