// The dispatcher's groups of ranks that hold one model together.
#include <algorithm>
#include <utility>

#include "pipeline/distributed/dispatcher.hpp"

namespace cmc::distributed {

bool Dispatcher::can_host(int gang) const {
  return std::ranges::any_of(nodes_, [&](const Count& node) { return node.alive >= gang; });
}

bool Dispatcher::can_place(int task, double now) const {
  const int id = items_[task].bundle;
  if (bundles_[id].tensor_parallel == 1) return choose_rank(task, items_[task].avoid) != nothing;
  return bundles_[id].free_holders > 0 || (gather_.task == nothing && seats(task, now).node != nothing);
}

// Looked up anew as the time comes nearer: it takes a look at every rank.
double Dispatcher::gang_complete_at(int id, double now) {
  Bundle& bundle = bundles_[id];
  if (bundle.complete_at == never || now > bundle.asked_at + (bundle.complete_at - bundle.asked_at) / 16) {
    bundle.asked_at = now;
    bundle.complete_at = seats_on_a_node(bundle.ready.begin()->second, nothing, now).complete;
  }
  return bundle.complete_at;
}

// Ranks that wait for a gang's others cost more than their share of what the gang has to do.
bool Dispatcher::waits_too_long(double seconds, int gang, double work) const {
  return seconds * gang > rules_.patience * work;
}

// Ranks that wait long for a gang's others do so only while they have nothing else to do.
void Dispatcher::reconsider_gang(double now) {
  if (gather_.node == nothing) return;
  const Task& task = plan_.tasks[gather_.task];
  const double work = bundles_[items_[gather_.task].bundle].ready_seconds + task.seconds;
  if (waits_too_long(gather_.complete - now, task.tensor_parallel, work)) cancel_gathering();
}

// The ranks for a gang's task: those of a free gang; else none yet, of the node where a new one is complete first.
Dispatcher::Gather Dispatcher::seats(int task, double now) const {
  const int id = items_[task].bundle;
  if (bundles_[id].free_holders > 0)
    for (const auto& [number, gang] : gangs_)
      if (gang.bundle == id && !gang.busy)
        return {.task = task, .wanted = gang.ranks.size(), .until = never, .ranks = gang.ranks};
  const Gather elsewhere = seats_on_a_node(task, items_[task].avoid, now);
  return elsewhere.node != nothing ? elsewhere : seats_on_a_node(task, nothing, now);
}

Dispatcher::Gather Dispatcher::seats_on_a_node(int task, int avoid, double now) const {
  const int id = items_[task].bundle;
  const auto wanted = static_cast<size_t>(bundles_[id].tensor_parallel);
  using Seat = std::pair<double, int>;  // when it is free, how much it is missed elsewhere
  std::vector<std::vector<Seat>> seats(nodes_.size());
  for (int rank = 0; rank < static_cast<int>(ranks_.size()); ++rank)
    if (ranks_[rank].state != Rank::State::lost && rank != avoid && held_by(rank) != id && !is_barred(rank, task))
      seats[ranks_[rank].node].emplace_back(ranks_[rank].state == Rank::State::free ? -never : free_at(rank, now),
                                            worth_keeping(rank, id));  // who is about to end is not yet free
  Gather best{.task = task, .wanted = wanted, .until = never, .avoid = avoid};
  Seat least(never, 0);
  for (int node = 0; node < static_cast<int>(nodes_.size()); ++node) {
    if (seats[node].size() < wanted) continue;
    std::ranges::sort(seats[node]);
    if (seats[node][wanted - 1].first == never) continue;
    Seat all(seats[node][wanted - 1].first, 0);
    for (size_t i = 0; i < wanted; ++i) all.second += seats[node][i].second;
    if (best.node == nothing || all < least) least = all, best.node = node;
  }
  best.complete = least.first;
  return best;
}

double Dispatcher::free_at(int rank, double now) const {
  if (ranks_[rank].state == Rank::State::free) return now;
  const auto running = running_.find(ranks_[rank].assignment);
  if (running == running_.end()) return never;  // gathered for another group
  const Assignment& one = running->second;
  return std::max(now, endings_.at(one.id).started + one.seconds * slowness(plan_.tasks[one.task].stage));
}

// The gang that these ranks are already; else a new one of them.
int Dispatcher::join_gang(int bundle, const std::vector<int>& ranks) {
  const int known = ranks_[ranks.front()].tensor_group;
  if (known > 0 && gangs_.at(known).bundle == bundle && gangs_.at(known).ranks == ranks) {
    gangs_.at(known).busy = true;
    --bundles_[bundle].free_holders;
    return known;
  }
  ++last_gang_, ++bundles_[bundle].holders;
  for (const int rank : ranks) {
    set_state(rank, Rank::State::gathered);
    hold(rank, nothing);
    ranks_[rank].tensor_group = last_gang_;
    remember_held(rank, bundle);
  }
  gangs_[last_gang_] = {bundle, ranks, true};
  return last_gang_;
}

// A gang whose task failed is no more: its ranks may be out of step with each other.
void Dispatcher::end_gang_task(const Assignment& assignment, Result result) {
  Gang& gang = gangs_.at(assignment.tensor_group);
  // A rank that was lost is no part of it any more, even where it is back.
  const bool whole = std::ranges::all_of(gang.ranks, [&](int rank) { return ranks_[rank].tensor_group == assignment.tensor_group; });
  if (result != Result::failed && whole)
    gang.busy = false, ++bundles_[gang.bundle].free_holders;
  else
    dissolve(assignment.tensor_group);
  for (const int rank : assignment.ranks)
    if (ranks_[rank].state == Rank::State::gathered) set_state(rank, Rank::State::free);
}

void Dispatcher::dissolve(int number) {
  const Gang gang = std::move(gangs_.extract(number).mapped());
  Bundle& bundle = bundles_[gang.bundle];
  --bundle.holders;
  if (!gang.busy) --bundle.free_holders;
  for (const int rank : gang.ranks)
    if (ranks_[rank].tensor_group == number) ranks_[rank].tensor_group = 0;
}

}  // namespace cmc::distributed
