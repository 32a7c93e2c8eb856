#pragma once
#include <map>
#include <set>
#include <vector>

#include "pipeline/distributed/nodes.hpp"

namespace cmc::distributed {

// What a rank can keep loaded between tasks: the model of a bundle, alone or with the others of a group.
struct Residency {
  int ranks = 1;      // of one node, that hold a block of it together
  int blocks = 1;     // that hold it together, on any nodes
  bool kept = false;  // false: nothing is loaded, so nothing is remembered

  int group() const { return blocks * ranks; }  // ranks that hold it together
};

// The ranks: who is free, has a task, waits in a group or is silent; what each holds and has held, by the number of the
// residency. Knows no tasks and no rules.
class RankPool {
 public:
  enum class State { free, busy, reserved, lost };  // reserved: for a group in the making, or until its group has ended
  struct Count {                                    // of ranks
    int free = 0, alive = 0;
  };
  using Counted = int Count::*;  // &Count::free or &Count::alive

  // All are free and hold nothing. `nodes`: empty: all are on one.
  RankPool(int ranks, const Nodes& nodes, const std::vector<Residency>& residencies);

  int size() const { return static_cast<int>(ranks_.size()); }
  int alive() const { return alive_; }
  const std::set<int>& free() const { return free_; }
  State state(int rank) const { return ranks_[rank].state; }
  int node(int rank) const { return ranks_[rank].node; }
  int nodes() const { return static_cast<int>(nodes_.size()); }
  int assignment(int rank) const { return ranks_[rank].assignment; }  // the last that it had; 0: none
  int held_by(int rank) const;                                        // alone or in a group; `none`: nothing
  bool has_had(int rank, int residency) const { return ranks_[rank].had.contains(residency); }
  int holders(int residency) const { return holdings_[residency].holders; }  // ranks, or groups
  int free_holders(int residency) const { return holdings_[residency].free_holders; }

  // Whether the nodes have room for the residency's blocks, each on one, on ranks that are free, or alive.
  bool has_room_for(const Residency& what, Counted counted) const;
  // Whether ranks that never had the residency could take it; for a group as above.
  bool has_others(int residency, Counted counted) const;

  void reserve(int rank) { set_state(rank, State::reserved); }
  void release(int rank) { set_state(rank, State::free); }
  void occupy(int rank, int assignment);
  void lose(int rank);          // it holds nothing any more, and nothing is known of what it has held
  void find(int rank);          // a lost rank is back and free
  void hold(int rank, int id);  // a rank that is not free: loads residency `id` instead of what it holds; or none

  // Ranks that hold a residency together, block by block, and keep it from task to task.
  struct TensorGroup {
    int residency = none;
    std::vector<int> ranks;
    bool busy = true;
  };
  const TensorGroup* free_group(int residency) const;  // the oldest; null: none
  struct Joined {
    int number = 0;  // counts from 1
    bool made = false;
  };
  // The group that these ranks, of which none is free, are already, or a new one of them. It is busy.
  Joined join_group(int residency, const std::vector<int>& ranks);
  // The group's task has ended and its reserved ranks are free; it lasts where `keep` and no rank was lost meanwhile.
  void end_group_task(int number, bool keep);

 private:
  struct Rank {
    State state = State::free;
    int holds = none;      // residency
    int tensor_group = 0;  // holds a part of the group's instead; 0: none
    int assignment = 0;
    int node = 0;
    std::set<int> had;  // residencies it has held
  };
  struct Holding {  // of a residency
    Residency what;
    Count had = {};                  // ranks that hold it or have held it
    std::vector<Count> had_on = {};  // the same by node; of groups
    int holders = 0, free_holders = 0;
  };

  void set_state(int rank, State state);
  void remember_held(int rank, int residency);
  void count_had(int rank, Counted counted, int change);
  void dissolve(int group);

  std::vector<Rank> ranks_;
  std::vector<Holding> holdings_;  // by residency
  std::vector<Count> nodes_;
  std::set<int> free_;
  std::map<int, TensorGroup> groups_;
  int alive_, last_group_ = 0;
};

}  // namespace cmc::distributed
