#pragma once
#include <vector>

#include "pipeline/distributed/communicator.hpp"

namespace cmc::distributed {

// Ranks that are threads of this process: communicators [0, size) of one group, each for one thread. Everything written
// over a Communicator can so be tested without mpirun.
std::vector<Communicator> thread_ranks(int size);

}  // namespace cmc::distributed
