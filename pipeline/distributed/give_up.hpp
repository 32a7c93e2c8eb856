#pragma once
#include "pipeline/distributed/communicator.hpp"

namespace cmc::distributed {

// Tells the other members that this one has failed: collectives of the group that they wait in, now or later, throw
// GroupAbandoned. Afterwards the group is of no use; how to go on is agreed over another one of the same ranks.
void give_up(const Communicator& group);

}  // namespace cmc::distributed
