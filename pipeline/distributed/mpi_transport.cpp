#include "pipeline/distributed/mpi_transport.hpp"

#include <limits.h>
#include <mpi.h>

#include <list>
#include <map>
#include <string>
#include <utility>

#include "pipeline/core/error.hpp"

namespace cmc::distributed {
namespace {

class MpiTransport final : public Transport {
 public:
  explicit MpiTransport(MPI_Comm owned) : comm_(owned) {
    check_mpi(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    check_mpi(MPI_Comm_rank(comm_, &rank_), "MPI_Comm_rank");
    check_mpi(MPI_Comm_size(comm_, &size_), "MPI_Comm_size");
  }

  // A group that was not closed is left to MPI with its requests and their bytes: a late message for a communicator
  // that is gone would be taken for one of the next that gets its context id.
  ~MpiTransport() override {
    int finalised = 0;
    MPI_Finalized(&finalised);
    if (finalised) return;
    if (closed_) {
      MPI_Comm_free(&comm_);
    } else {
      new std::list<Sending>(std::move(sending_));
      new std::map<std::pair<int, int>, Arriving>(std::move(arriving_));
    }
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  void send(int to, int tag, Bytes bytes) override {
    expect(bytes.size() <= INT_MAX, "a message is shorter than 2 GiB");
    Sending& sending = sending_.emplace_back();
    sending.bytes = std::move(bytes);
    check_mpi(MPI_Isend(sending.bytes.data(), static_cast<int>(sending.bytes.size()), MPI_BYTE, to, tag, comm_,
                        &sending.request),
              "MPI_Isend");
    unsent();
  }

  size_t unsent() override {
    for (auto one = sending_.begin(); one != sending_.end();) one = arrived(one->request) ? sending_.erase(one) : ++one;
    return sending_.size();
  }

  std::optional<Message> receive(int from, int tag) override {
    const std::pair slot(from, tag);
    auto found = arriving_.find(slot);
    if (found == arriving_.end()) {
      auto started = start_receive(from, tag);
      if (!started) return std::nullopt;
      found = arriving_.emplace(slot, std::move(*started)).first;
    }
    if (!arrived(found->second.request)) return std::nullopt;
    Message message{found->second.from, std::move(found->second.bytes)};
    arriving_.erase(found);
    return message;
  }

  void close() override { closed_ = sending_.empty() && arriving_.empty(); }

  std::shared_ptr<Transport> group(std::span<const int> ranks, int id) override {
    MPI_Group all, some;
    MPI_Comm made = MPI_COMM_NULL;
    check_mpi(MPI_Comm_group(comm_, &all), "MPI_Comm_group");
    check_mpi(MPI_Group_incl(all, static_cast<int>(ranks.size()), ranks.data(), &some), "MPI_Group_incl");
    // Open MPI 4.1 sends its own messages under this tag on the parent: it must be none of ours.
    const int code = MPI_Comm_create_group(comm_, some, tags + id, &made);
    MPI_Group_free(&some), MPI_Group_free(&all);
    check_mpi(code, "MPI_Comm_create_group");
    expect(made != MPI_COMM_NULL, "a group is made by its members alone");
    return std::make_shared<MpiTransport>(made);
  }

 private:
  struct Sending {
    MPI_Request request = MPI_REQUEST_NULL;
    Bytes bytes;
  };
  struct Arriving {
    int from;
    Bytes bytes;
    MPI_Request request;
  };

  static bool arrived(MPI_Request& request) {
    int done = 0;
    check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    return done != 0;
  }

  // A matched probe, so that the length is known and no other receive can take the message.
  std::optional<Arriving> start_receive(int from, int tag) {
    int found = 0, bytes = 0;
    MPI_Message message;
    MPI_Status status;
    check_mpi(MPI_Improbe(from == any_rank ? MPI_ANY_SOURCE : from, tag, comm_, &found, &message, &status),
              "MPI_Improbe");
    if (!found) return std::nullopt;
    check_mpi(MPI_Get_count(&status, MPI_BYTE, &bytes), "MPI_Get_count");
    Arriving one{status.MPI_SOURCE, Bytes(bytes), MPI_REQUEST_NULL};
    check_mpi(MPI_Imrecv(one.bytes.data(), bytes, MPI_BYTE, &message, &one.request), "MPI_Imrecv");
    return one;
  }

  MPI_Comm comm_;
  int rank_ = 0, size_ = 1;
  bool closed_ = false;
  std::list<Sending> sending_;
  std::map<std::pair<int, int>, Arriving> arriving_;  // by (rank asked for, tag)
};

}  // namespace

void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "unknown error";
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw Internal({call, text, "see the log of the other ranks"});
}

std::shared_ptr<Transport> mpi_world() {
  MPI_Comm copy;  // of our own: its error handler and its messages touch nobody else's
  check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &copy), "MPI_Comm_dup");
  return std::make_shared<MpiTransport>(copy);
}

}  // namespace cmc::distributed
