#pragma once
#include <string>
#include <vector>

#include "pipeline/distributed/dispatch_policy.hpp"

namespace cmc::distributed {

// The approach by which a simulation of what is not in `finished` ends first, by the estimates; the default where it is
// as good as any. A plan of very many tasks, whose simulation takes long, has fewer approaches tried or none: its ranks
// always find something else to do.
Approach find_approach(const Plan& plan, const std::vector<std::string>& finished, int ranks, DispatchRules rules);

}  // namespace cmc::distributed
