#pragma once
#include <exception>
#include <functional>

#include "pipeline/distributed/communicator.hpp"
#include "pipeline/store/unit.hpp"

namespace cmc::stages {

// Whether memory of device or host ran out: std::bad_alloc, or what LibTorch and the libraries below it say in its
// place.
bool is_out_of_memory(const std::exception& error);

// The ranks that work on tasks together, and the group over which they do at present: a failed attempt leaves messages
// on their way, so that the next one has a group of its own.
class Attempts {
 public:
  explicit Attempts(distributed::Communicator ranks) : ranks_(std::move(ranks)) {}

  const distributed::Communicator& ranks() const { return ranks_; }  // over which they agree between attempts
  const distributed::Communicator& group();                          // collective when it is made
  void renew() { group_ = {}; }
  // Collective, after the last attempt has succeeded.
  void close() { group_.close(); }

 private:
  distributed::Communicator ranks_, group_;
  int number_ = 0;
};

// `work` over the attempts' group, and while memory runs out on any of its ranks `work` again on all after `spare`,
// which makes it need less. Throws what `work` throws when that is something else or `spare` says that nothing can be
// spared; where it was another rank that failed, GroupAbandoned. Collective: every rank answers alike to `spare`. A
// rank that waits for another's sum is woken when this fails; one that waits inside NCCL is not (docs/gpu.md).
store::Unit with_less_memory(Attempts& attempts,
                             const std::function<store::Unit(const distributed::Communicator& group)>& work,
                             const std::function<bool()>& spare);

}  // namespace cmc::stages
