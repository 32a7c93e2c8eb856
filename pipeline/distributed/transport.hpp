#pragma once
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace cmc::distributed {

using Bytes = std::vector<std::byte>;

struct Message {
  int from = 0;
  Bytes bytes;
};

constexpr int any_rank = -1;
constexpr int tags = 1024;        // messages have tags below this
constexpr int group_ids = 16384;  // groups have ids below this; both together stay below MPI's least tag limit

// Point-to-point messages between the ranks of a group: all that collectives and the scheduler need of MPI. Nothing
// blocks. Messages with one sender and one tag arrive in the order in which they were sent.
// One thread at a time may use a transport, but for `group`. MPI's errors throw Internal.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Starts to send; the transport keeps the bytes until they are on their way.
  virtual void send(int to, int tag, Bytes bytes) = 0;
  // Messages whose bytes are still kept.
  virtual size_t unsent() = 0;
  // The next message with `tag` from rank `from` (or any_rank), when one has arrived.
  virtual std::optional<Message> receive(int from, int tag) = 0;

  // Collective over `ranks` alone (ascending or not: the first becomes rank 0). `id` (0 to group_ids - 1) differs
  // between groups that are made at the same time.
  virtual std::shared_ptr<Transport> group(std::span<const int> ranks, int id) = 0;

  // Says that every message of the group has been received, so that what it holds may be given back. Without it (a
  // member failed, messages may be on their way for ever) its resources are left to MPI until the program ends.
  virtual void close() = 0;
};

}  // namespace cmc::distributed
