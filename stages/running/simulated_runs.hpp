#pragma once
#include <optional>
#include <string>
#include <vector>

#include "pipeline/distributed/plan.hpp"
#include "pipeline/distributed/simulation.hpp"

namespace cmc::stages {

struct SimulatedRun {
  int ranks = 0;
  int needed = 1;                                            // ranks that the largest group takes which finds no room
  int needed_on_a_node = 1;                                  // of these, each block on one
  std::optional<distributed::SimulationResult> result = {};  // none: the nodes have no room for it
};

// What `plan` would take on each number of ranks, `ranks_per_node` of them on a node.
std::vector<SimulatedRun> simulate_runs(const distributed::Plan& plan, const std::vector<std::string>& finished,
                                        const std::vector<int>& ranks, int ranks_per_node);

// {"ranks", "makespan" (s), "least" (s), "idle_share", "above_least" (share of the makespan beyond the lower bound),
// "loads": {model: times}, "reloads": times by a rank that had held it before}, or {"ranks", "needed"} without a result
Json to_json(const SimulatedRun& run);
// The same as a table for people.
std::string table_of(const std::vector<SimulatedRun>& runs);

// "1,4,64" as numbers. Throws Usage.
std::vector<int> rank_counts(const std::string& text);

}  // namespace cmc::stages
