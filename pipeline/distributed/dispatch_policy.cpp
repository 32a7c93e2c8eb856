// Which bundle is next, and which ranks may have it.
#include "pipeline/distributed/dispatch_policy.hpp"

#include <algorithm>

namespace cmc::distributed {

int DispatchPolicy::next_bundle(double now) {
  for (;;) {
    Claim best;
    int chosen = none;
    for (const int id : state_.graph.ready_bundles()) {
      const Claim claim = claim_of(id, now);
      if (best < claim) best = claim, chosen = id;
    }
    if (chosen == none || best.rule == Rule::resident || finds_ranks(chosen, &RankPool::Count::free)) return chosen;
    forecasts_[chosen].complete_at = never;  // what was expected of it may have come otherwise meanwhile
    if (complete_at(chosen, now) < never) return chosen;
  }
}

DispatchPolicy::Claim DispatchPolicy::claim_of(int id, double now) {
  const Bundle& bundle = state_.graph.bundle(id);
  const RankPool& pool = state_.pool;
  const int holders = bundle.residency.kept ? pool.holders(id) : 0, size = bundle.residency.group();
  const auto [minus_critical, task] = *bundle.ready.begin();
  const double critical = -minus_critical, ready = bundle.ready_seconds / size;
  if (pool.free_holders(id) > 0) return {Rule::resident, critical};
  const bool unready = bundle.residency.kept && bundle.foreign > 0;
  if (unready && !state_.running.empty() && !is_worth_loading(id, bundle.ready_seconds)) return {};
  if (holders > 0 && ready <= bundle.load_seconds * holders) return {};
  if (!finds_ranks(id, &RankPool::Count::free)) {
    if (size == 1 || state_.making || !finds_ranks(id, &RankPool::Count::alive)) return {};
    const double complete = complete_at(id, now);
    if (complete == never) return {};
    if (costs_too_much(complete - now, size, bundle.ready_seconds)) return {Rule::wait, ready};
  }
  if (holders > 0) return {Rule::share, ready / holders};
  if (critical > (spread_work() + bundle.load_seconds) * (1 + 1e-9)) return {Rule::decides_the_end, critical};
  const Task& work = state_.graph.task(task);
  const double own = seconds_on(work, 1), alone = critical - seconds_on(work, pool.size()) + own;
  if (approach_.long_first && work.shares > 1 && alone > spread_work()) return {Rule::decides_the_end, alone};
  return {unready ? Rule::unready : Rule::longest_unheld,
          bundle.residency.kept ? ready + std::max(critical - own, 0.0) : critical};
}

// Looked up anew as the time comes nearer: it takes a look at every rank.
double DispatchPolicy::complete_at(int id, double now) {
  if (forecasts_.size() <= static_cast<size_t>(id)) forecasts_.resize(id + 1);
  Forecast& known = forecasts_[id];
  if (known.complete_at == never || now > known.asked_at + (known.complete_at - known.asked_at) / 16)
    known = {now, place_group(state_.graph.bundle(id).ready.begin()->second, 1, none, now).complete};
  return known.complete_at;
}

bool DispatchPolicy::can_retry(int task, double now) const {
  const int id = state_.graph.bundle_of(task);
  if (state_.graph.bundle(id).residency.group() == 1)
    return choose_rank({.task = task, .avoid = state_.graph.failed_on(task)}) != none;
  return state_.pool.free_holders(id) > 0 || (!state_.making && !group_for(task, now).places.empty());
}

// Ranks that are lost may leave no room for a group.
bool DispatchPolicy::can_ever_start(int bundle) const {
  const Residency& residency = state_.graph.bundle(bundle).residency;
  return residency.group() == 1 || state_.pool.has_room_for(residency, &RankPool::Count::alive);
}

int DispatchPolicy::choose_rank(const GroupInMaking& group) const {
  const RankPool& pool = state_.pool;
  const int bundle = state_.graph.bundle_of(group.task);
  const bool placed = !group.places.empty(), waits = state_.making && state_.making->task == group.task;
  std::map<int, int> room = group.places;
  if (placed)
    for (const int rank : group.ranks) --room.at(pool.node(rank));
  const auto has_room = [&](int rank) {
    const auto here = room.find(pool.node(rank));
    return here != room.end() && here->second > 0;
  };
  int chosen = none, least = 8;
  for (const int rank : pool.free()) {
    if (rank == group.avoid && (pool.alive() > 1 || placed)) continue;
    if (!placed && is_barred(rank, group.task)) continue;  // a group's nodes were chosen with that in mind
    if (placed && (!has_room(rank) || pool.held_by(rank) == bundle)) continue;
    if (placed && waits && goes_on(rank)) continue;
    const int worth = worth_keeping(rank, bundle) + (placed && pool.has_had(rank, bundle) ? 4 : 0);
    if (worth < least) least = worth, chosen = rank;
    if (worth == -1 || (worth == 0 && pool.free_holders(bundle) == 0)) break;
  }
  return chosen;
}

size_t DispatchPolicy::ranks_at_hand(const GroupInMaking& group, double now) const {
  if (const int each = group_ranks(state_.graph.task(group.task)); each > 1) {
    const auto [size, blocks, kept] = state_.graph.bundle(state_.graph.bundle_of(group.task)).residency;
    const auto ends = ends_of_blocks(members_for(group.task, group.avoid, now), size);
    return std::ranges::count(ends, -never) / blocks * each;
  }
  const auto may = [&](int rank) { return rank != group.avoid && !is_barred(rank, group.task); };
  return group.ranks.size() + static_cast<size_t>(std::ranges::count_if(state_.pool.free(), may));
}

// How likely it is that what a rank holds is needed again by another bundle, from 0; -1 when it is this one.
int DispatchPolicy::worth_keeping(int rank, int bundle) const {
  const int held = state_.pool.held_by(rank);
  if (held == none) return 0;
  if (held == bundle) return -1;
  const Bundle& other = state_.graph.bundle(held);
  return other.open == 0 ? 1 : other.ready.empty() ? 2 : 3;
}

// Whether loading the bundle once more is a small part of `seconds` of work there, shared with its holders.
bool DispatchPolicy::is_worth_loading(int id, double seconds) const {
  const Bundle& bundle = state_.graph.bundle(id);
  return bundle.load_seconds * (state_.pool.holders(id) + 1) < patience_ * seconds / bundle.residency.group();
}

// Ranks go back to what they have left only where nobody has it and nobody else could, or for long and for good.
bool DispatchPolicy::may_return(int id) const {
  const Bundle& bundle = state_.graph.bundle(id);
  if (!bundle.residency.kept || (bundle.foreign == 0 && is_worth_loading(id, bundle.open_seconds))) return true;
  return state_.pool.holders(id) == 0 && !state_.pool.has_others(id, &RankPool::Count::alive);
}

// A task that failed elsewhere may go to any rank.
bool DispatchPolicy::is_barred(int rank, int task) const {
  const int bundle = state_.graph.bundle_of(task);
  if (!state_.pool.has_had(rank, bundle) || state_.graph.failed_on(task) != none) return false;
  return state_.pool.held_by(rank) != bundle && !may_return(bundle);
}

// Whether there are ranks that can begin with the bundle, now (free) or once they have ended their tasks (alive).
bool DispatchPolicy::finds_ranks(int id, RankPool::Counted counted) const {
  if (!may_return(id)) return state_.pool.has_others(id, counted);
  return state_.pool.has_room_for(state_.graph.bundle(id).residency, counted);
}

double DispatchPolicy::spread_work() const {
  return state_.graph.remaining_seconds() / std::max(state_.pool.alive(), 1);
}

}  // namespace cmc::distributed
