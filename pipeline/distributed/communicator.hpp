#pragma once
#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/distributed/transport.hpp"

namespace cmc::distributed {

// Thrown by a collective on every other member when one member of the group failed: without it they would wait for
// ever.
struct GroupAbandoned : Internal {
  GroupAbandoned() : Internal({"group", "another rank of the group gave up", ""}) {}
};

// A group of ranks as a value. The default one is the null state: one rank, every collective is the identity.
// Errors of MPI throw Internal. Waiting polls with a pause, so that it burns no core. One thread at a time.
class Communicator {
 public:
  Communicator() = default;
  // `abandoned`: once requested, collectives that wait throw GroupAbandoned.
  explicit Communicator(std::shared_ptr<Transport> transport, std::stop_token abandoned = {})
      : transport_(std::move(transport)), abandoned_(std::move(abandoned)) {}

  // The same group, whose waits yield for so long before they sleep: where the others answer within moments.
  Communicator awake(std::chrono::microseconds yielding) const;

  int rank() const { return transport_ ? transport_->rank() : 0; }
  int size() const { return transport_ ? transport_->size() : 1; }

  // Sums shares in share order, the same bits for any number of ranks: share s belongs to rank s * size / shares
  // (contiguous blocks), `mine` holds this rank's shares in order, each of one length; every rank gets the sum in
  // `sum`, which may be one of the shares itself. A chain of partial sums, then a broadcast, both pipelined in chunks.
  void ordered_sum(std::span<const std::span<const float>> mine, std::span<float> sum) const;
  // The sum of one row of numbers from each rank, in place, in rank order: the same bits on every rank. All ranks send
  // to all at once: one hop for short rows, two for long ones. For sums that the ranks wait for (tensor parallelism).
  void sum(std::span<float> numbers) const;
  // Every rank's bytes, by rank; all to all at once.
  std::vector<Bytes> exchange(std::span<const std::byte> mine) const;
  void broadcast(std::span<std::byte> bytes, int root) const;
  void barrier() const;

  // Every rank's string (any bytes, any length), by rank.
  std::vector<std::string> all_gather(std::string_view mine) const;
  // True on every rank when `mine` is true on any: how a group agrees to stop at the same step.
  bool any(bool mine) const;

  // Collective over `ranks` alone; the null communicator when they are one. `id`: see Transport::group.
  Communicator group(std::span<const int> ranks, int id, std::stop_token abandoned = {}) const;

  // Collective, the last one on this group: its members have all succeeded. A group that is dropped without it (because
  // a member failed) costs a little memory until the program ends.
  void close() const;

  Transport* transport() const { return transport_.get(); }  // null for the null state

 private:
  Bytes await(int from, int tag) const;
  void await_sent(size_t at_most) const;

  std::shared_ptr<Transport> transport_;
  std::stop_token abandoned_;
  std::chrono::microseconds awake_ = {};
};

// The shares of `rank` of `size` when `shares` are dealt in contiguous blocks: [first, last).
struct ShareRange {
  int first, last;
};
ShareRange shares_of(int rank, int size, int shares);

}  // namespace cmc::distributed
