#include "pipeline/distributed/node_cores.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string>

namespace cmc::distributed {

namespace {

using States = std::shared_ptr<int32_t>;

States mapped(int file, size_t ranks) {
  const size_t bytes = ranks * sizeof(int32_t);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) return nullptr;
  return {static_cast<int32_t*>(memory), [bytes](int32_t* states) { munmap(states, bytes); }};
}

States opened(const std::string& name, int flags, size_t ranks) {
  const int file = shm_open(name.c_str(), O_RDWR | flags, 0600);
  if (file < 0) return nullptr;
  const bool sized = (flags & O_CREAT) == 0 || ftruncate(file, static_cast<off_t>(ranks * sizeof(int32_t))) == 0;
  const States states = sized ? mapped(file, ranks) : nullptr;
  close(file);
  return states;
}

// The first rank of a node makes the memory, whose name is gone as soon as all have opened it: nothing of it is left
// behind, however the program ends. Zeros: nobody lends before it has told its cores.
States shared_states(const Session& session) {
  const auto& node = session.node();
  const size_t ranks = node.cores_of_ranks.size();
  const std::string name = "/cmc-cores-" + std::to_string(getpid());
  States states;
  if (node.rank == 0 && ranks > 1) states = opened(name, O_CREAT | O_EXCL, ranks);
  const auto names = session.world().all_gather(states ? name : "");
  const std::string& of_first = names.at(static_cast<size_t>(node.first_rank));
  if (node.rank > 0 && !of_first.empty()) states = opened(of_first, 0, ranks);
  session.world().barrier();
  if (node.rank == 0 && states) shm_unlink(name.c_str());
  return states;
}

}  // namespace

NodeCores::NodeCores(const Session& session, int own)
    : rank_(session.node().rank),
      own_(own),
      allowed_(static_cast<int>(session.node().cores_of_ranks.at(static_cast<size_t>(rank_)).size())),
      ranks_(session.node().cores_of_ranks.size()),
      states_(shared_states(session)) {
  tell(false);
}

void NodeCores::tell(bool computes) const {
  if (states_) std::atomic_ref(states_.get()[rank_]).store(computes ? -own_ : own_, std::memory_order_relaxed);
}

int NodeCores::usable() const {
  if (!states_) return own_;
  std::vector<int> states(ranks_);
  for (size_t i = 0; i < ranks_; ++i) states[i] = std::atomic_ref(states_.get()[i]).load(std::memory_order_relaxed);
  return cores_now(rank_, states, allowed_);
}

int cores_now(int rank, const std::vector<int>& states, int allowed) {
  int lent = 0, computing = 0, before = 0;
  for (int i = 0; i < static_cast<int>(states.size()); ++i) {
    const int state = states[static_cast<size_t>(i)];
    if (state > 0 && i != rank) lent += state;
    if (state < 0 || i == rank) ++computing, before += i < rank;
  }
  const int own = std::abs(states.at(static_cast<size_t>(rank)));
  return std::max(own, std::min(allowed, own + lent / computing + (before < lent % computing ? 1 : 0)));
}

}  // namespace cmc::distributed
