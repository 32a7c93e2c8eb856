// What the dispatcher's ranks hold and have held.
#include <algorithm>

#include "pipeline/distributed/dispatcher.hpp"

namespace cmc::distributed {

void Dispatcher::set_state(int rank, Rank::State state) {
  Rank& one = ranks_[rank];
  if (one.state == Rank::State::free) {
    free_.erase(rank), --nodes_[one.node].free;
    count_had(rank, &Count::free, -1);
    if (one.holds != nothing) --bundles_[one.holds].free_holders;
    if (one.tensor_group > 0 && !gangs_.at(one.tensor_group).busy) dissolve(one.tensor_group);
  }
  one.state = state;
  if (state == Rank::State::free) {
    free_.insert(rank), ++nodes_[one.node].free;
    count_had(rank, &Count::free, 1);
    if (one.holds != nothing) ++bundles_[one.holds].free_holders;
  }
}

// Of a rank that is not free.
void Dispatcher::hold(int rank, int bundle) {
  if (ranks_[rank].holds != nothing) --bundles_[ranks_[rank].holds].holders;
  ranks_[rank].holds = bundle;
  if (bundle == nothing) return;
  ++bundles_[bundle].holders;
  remember_held(rank, bundle);
}

int Dispatcher::held_by(int rank) const {
  const Rank& one = ranks_[rank];
  return one.tensor_group > 0 ? gangs_.at(one.tensor_group).bundle : one.holds;
}

// How likely it is that what a rank holds is needed again by another bundle, from 0; -1 when it is this one.
int Dispatcher::worth_keeping(int rank, int bundle) const {
  const int held = held_by(rank);
  if (held == nothing) return 0;
  if (held == bundle) return -1;
  return bundles_[held].open == 0 ? 1 : bundles_[held].ready.empty() ? 2 : 3;
}

// Of a rank that is not free.
void Dispatcher::remember_held(int rank, int id) {
  Bundle& bundle = bundles_[id];
  if (!bundle.resident || !ranks_[rank].had.insert(id).second) return;
  ++bundle.had.alive;
  if (bundle.tensor_parallel == 1) return;
  bundle.had_on.resize(nodes_.size());
  ++bundle.had_on[ranks_[rank].node].alive;
}

// Of a rank that is not free.
void Dispatcher::forget_held(int rank) {
  count_had(rank, &Count::alive, -1);
  ranks_[rank].had.clear();
}

void Dispatcher::count_had(int rank, int Count::*which, int change) {
  for (const int id : ranks_[rank].had) {
    bundles_[id].had.*which += change;
    if (bundles_[id].tensor_parallel > 1) bundles_[id].had_on[ranks_[rank].node].*which += change;
  }
}

// Whether ranks that never had the bundle could take it; a gang's are of one node.
bool Dispatcher::has_others(const Bundle& bundle, int Count::*which) const {
  if (bundle.tensor_parallel == 1) return (which == &Count::free ? std::ssize(free_) : alive_) > bundle.had.*which;
  for (size_t node = 0; node < nodes_.size(); ++node) {
    const int had = node < bundle.had_on.size() ? bundle.had_on[node].*which : 0;
    if (nodes_[node].*which - had >= bundle.tensor_parallel) return true;
  }
  return false;
}

// Whether loading the bundle once more is a small part of `seconds` of work there, shared with its holders.
bool Dispatcher::is_worth_loading(const Bundle& bundle, double seconds) const {
  return bundle.load * (bundle.holders + 1) < rules_.patience * seconds / bundle.tensor_parallel;
}

// Ranks go back to what they have left only where nobody has it and nobody else could, or for long and for good.
bool Dispatcher::may_return(const Bundle& bundle) const {
  if (!bundle.resident || (bundle.foreign == 0 && is_worth_loading(bundle, bundle.open_seconds))) return true;
  return bundle.holders == 0 && !has_others(bundle, &Count::alive);
}

// A task that failed elsewhere may go to any rank.
bool Dispatcher::is_barred(int rank, int task) const {
  const int bundle = items_[task].bundle;
  if (!has_had(rank, bundle) || items_[task].avoid != nothing) return false;
  return held_by(rank) != bundle && !may_return(bundles_[bundle]);
}

// Whether there are ranks that can begin with the bundle, now (free) or once they have ended their tasks (alive).
bool Dispatcher::finds_ranks(int id, int Count::*which) const {
  const Bundle& bundle = bundles_[id];
  if (!may_return(bundle)) return has_others(bundle, which);
  return std::ranges::any_of(nodes_, [&](const Count& node) { return node.*which >= bundle.tensor_parallel; });
}

}  // namespace cmc::distributed
