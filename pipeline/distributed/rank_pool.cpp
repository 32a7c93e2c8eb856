#include "pipeline/distributed/rank_pool.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace cmc::distributed {

RankPool::RankPool(int ranks, const Nodes& nodes, const std::vector<Residency>& residencies)
    : ranks_(ranks), alive_(ranks) {
  for (const Residency& one : residencies) holdings_.push_back({.what = one});
  for (int rank = 0; rank < ranks; ++rank) {
    free_.insert(free_.end(), rank);
    const int node = ranks_[rank].node = nodes.empty() ? 0 : nodes.at(rank);
    if (node >= static_cast<int>(nodes_.size())) nodes_.resize(node + 1);
    ++nodes_[node].free, ++nodes_[node].alive;
  }
}

int RankPool::held_by(int rank) const {
  const Rank& one = ranks_[rank];
  return one.tensor_group > 0 ? groups_.at(one.tensor_group).residency : one.holds;
}

bool RankPool::has_room_for(const Residency& what, Counted counted) const {
  int blocks = 0;
  for (size_t node = 0; node < nodes_.size() && blocks < what.blocks; ++node)
    blocks += nodes_[node].*counted / what.ranks;
  return blocks >= what.blocks;
}

bool RankPool::has_others(int residency, Counted counted) const {
  const Holding& holding = holdings_[residency];
  if (holding.what.group() == 1) return (counted == &Count::free ? std::ssize(free_) : alive_) > holding.had.*counted;
  int blocks = 0;
  for (size_t node = 0; node < nodes_.size() && blocks < holding.what.blocks; ++node) {
    const int had = node < holding.had_on.size() ? holding.had_on[node].*counted : 0;
    blocks += (nodes_[node].*counted - had) / holding.what.ranks;
  }
  return blocks >= holding.what.blocks;
}

void RankPool::set_state(int rank, State state) {
  Rank& one = ranks_[rank];
  if (one.state == State::free) {
    free_.erase(rank), --nodes_[one.node].free;
    count_had(rank, &Count::free, -1);
    if (one.holds != none) --holdings_[one.holds].free_holders;
    if (one.tensor_group > 0 && !groups_.at(one.tensor_group).busy) dissolve(one.tensor_group);
  }
  one.state = state;
  if (state == State::free) {
    free_.insert(rank), ++nodes_[one.node].free;
    count_had(rank, &Count::free, 1);
    if (one.holds != none) ++holdings_[one.holds].free_holders;
  }
}

void RankPool::occupy(int rank, int assignment) {
  set_state(rank, State::busy);
  ranks_[rank].assignment = assignment;
}

void RankPool::lose(int rank) {
  Rank& one = ranks_[rank];
  set_state(rank, State::lost);
  hold(rank, none);
  one.tensor_group = 0;
  --alive_, --nodes_[one.node].alive;
  count_had(rank, &Count::alive, -1);
  one.had.clear();
}

void RankPool::find(int rank) {
  ++alive_, ++nodes_[ranks_[rank].node].alive;
  set_state(rank, State::free);
}

void RankPool::hold(int rank, int id) {
  Rank& one = ranks_[rank];
  if (one.holds != none) --holdings_[one.holds].holders;
  one.holds = id;
  if (id == none) return;
  ++holdings_[id].holders;
  remember_held(rank, id);
}

// Of a rank that is not free.
void RankPool::remember_held(int rank, int residency) {
  Holding& holding = holdings_[residency];
  if (!holding.what.kept || !ranks_[rank].had.insert(residency).second) return;
  ++holding.had.alive;
  if (holding.what.group() == 1) return;
  holding.had_on.resize(nodes_.size());
  ++holding.had_on[ranks_[rank].node].alive;
}

void RankPool::count_had(int rank, Counted counted, int change) {
  for (const int residency : ranks_[rank].had) {
    Holding& holding = holdings_[residency];
    holding.had.*counted += change;
    if (holding.what.group() > 1) holding.had_on[ranks_[rank].node].*counted += change;
  }
}

const RankPool::TensorGroup* RankPool::free_group(int residency) const {
  if (free_holders(residency) == 0) return nullptr;
  for (const auto& [number, group] : groups_)
    if (group.residency == residency && !group.busy) return &group;
  return nullptr;
}

RankPool::Joined RankPool::join_group(int residency, const std::vector<int>& ranks) {
  const int known = ranks_[ranks.front()].tensor_group;
  if (known > 0 && groups_.at(known).residency == residency && groups_.at(known).ranks == ranks) {
    groups_.at(known).busy = true;
    --holdings_[residency].free_holders;
    return {known, false};
  }
  ++last_group_, ++holdings_[residency].holders;
  for (const int rank : ranks) {
    reserve(rank);
    hold(rank, none);
    ranks_[rank].tensor_group = last_group_;
    remember_held(rank, residency);
  }
  groups_[last_group_] = {residency, ranks, true};
  return {last_group_, true};
}

void RankPool::end_group_task(int number, bool keep) {
  TensorGroup& group = groups_.at(number);
  // A rank that was lost is no part of it any more, even where it is back.
  std::vector<int> members;
  std::ranges::copy_if(group.ranks, std::back_inserter(members),
                       [&](int rank) { return ranks_[rank].tensor_group == number; });
  if (keep && members.size() == group.ranks.size())
    group.busy = false, ++holdings_[group.residency].free_holders;
  else
    dissolve(number);
  for (const int rank : members)
    if (ranks_[rank].state == State::reserved) release(rank);
}

void RankPool::dissolve(int number) {
  const TensorGroup group = std::move(groups_.extract(number).mapped());
  Holding& holding = holdings_[group.residency];
  --holding.holders;
  if (!group.busy) --holding.free_holders;
  for (const int rank : group.ranks)
    if (ranks_[rank].tensor_group == number) ranks_[rank].tensor_group = 0;
}

}  // namespace cmc::distributed
