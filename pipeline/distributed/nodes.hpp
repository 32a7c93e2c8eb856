#pragma once
#include <string>
#include <vector>

#include "pipeline/distributed/plan.hpp"

namespace cmc::distributed {

// Where ranks are: the number of each rank's node, by rank, from 0 without gaps.
using Nodes = std::vector<int>;

Nodes nodes_of(const std::vector<std::string>& hosts);  // by rank: Session::hosts
Nodes nodes_of(int ranks, int ranks_on_each);           // in blocks, as launchers place them by default

// The task that is not in `finished` with the largest group whose blocks the nodes have no room for, each on one; null:
// all find room.
const Task* find_without_room(const Plan& plan, const std::vector<std::string>& finished, const Nodes& nodes);
// Throws BadExperiment naming that task.
void check_groups(const Plan& plan, const std::vector<std::string>& finished, const Nodes& nodes);

// No schedule of the plan's groups is shorter: for each size of block, the work of those as large and one load of each
// residency, over the blocks of that size that the nodes hold at once.
double least_group_seconds(const Plan& plan, const Nodes& nodes);

}  // namespace cmc::distributed
