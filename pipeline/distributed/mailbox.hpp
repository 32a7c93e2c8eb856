#pragma once
#include <optional>

#include "pipeline/core/json.hpp"
#include "pipeline/distributed/communicator.hpp"

namespace cmc::distributed {

// JSON messages between the main threads of the ranks, apart from the collectives' messages.
class Mailbox {
 public:
  explicit Mailbox(const Communicator& world) : transport_(world.transport()) {}

  struct Letter {
    int from = 0;
    Json content;
  };
  void send(int to, const Json& content);
  std::optional<Letter> receive();  // the next one, from any rank, when one has arrived
  void flush();                     // waits until all that was sent is on its way

 private:
  Transport* transport_;  // null: one rank, no mail
};

}  // namespace cmc::distributed
