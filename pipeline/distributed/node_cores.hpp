#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "pipeline/distributed/session.hpp"

namespace cmc::distributed {

// The cores of a node, of which ranks that have nothing to do lend theirs to those that compute. Ranks see each other's
// state in memory that they share; where there is none, each has its own cores alone.
class NodeCores {
 public:
  // Collective over the session's ranks. `own`: cores of this rank (threads_of_this_rank).
  NodeCores(const Session& session, int own);

  // While it lives, this rank computes and lends nothing.
  class Computing {
   public:
    explicit Computing(const NodeCores& cores) : cores_(cores) { cores_.tell(true); }
    ~Computing() { cores_.tell(false); }
    Computing(const Computing&) = delete;
    Computing& operator=(const Computing&) = delete;

   private:
    const NodeCores& cores_;
  };

  // Cores that this rank, which computes, may use now: see cores_now. Changes at any time.
  int usable() const;

 private:
  void tell(bool computes) const;

  int rank_, own_, allowed_;
  size_t ranks_;
  std::shared_ptr<int32_t> states_;  // by rank of the node: its cores, negative while it computes; null: not shared
};

// Of the rank at `rank`, which computes: its own cores and its part of those of ranks that do not, which are dealt one
// by one. `states`: see NodeCores; `allowed`: cores of the rank's affinity mask.
int cores_now(int rank, const std::vector<int>& states, int allowed);

}  // namespace cmc::distributed
