#include "pipeline/distributed/give_up.hpp"

#include "pipeline/distributed/given_up_tag.hpp"

namespace cmc::distributed {

void give_up(const Communicator& group) {
  for (int step = 1; step < group.size(); ++step)
    group.transport()->send((group.rank() + step) % group.size(), given_up_tag, Bytes(1));
}

}  // namespace cmc::distributed
