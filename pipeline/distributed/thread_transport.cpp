#include "pipeline/distributed/thread_transport.hpp"

#include <deque>
#include <map>
#include <mutex>

namespace cmc::distributed {
namespace {

struct Post {
  int from, tag;
  Bytes bytes;
};

// What the threads of one group share: a mailbox for each rank, and the groups made out of this one.
struct Office {
  explicit Office(int size) : boxes(size) {}
  std::mutex mutex;
  std::vector<std::deque<Post>> boxes;
  std::map<int, std::weak_ptr<Office>> groups;
};

class ThreadTransport final : public Transport {
 public:
  ThreadTransport(std::shared_ptr<Office> office, int rank) : office_(std::move(office)), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(office_->boxes.size()); }

  void send(int to, int tag, Bytes bytes) override {
    const std::lock_guard lock(office_->mutex);
    office_->boxes.at(to).push_back({rank_, tag, std::move(bytes)});
  }

  size_t unsent() override { return 0; }
  void close() override {}

  std::optional<Message> receive(int from, int tag) override {
    const std::lock_guard lock(office_->mutex);
    auto& box = office_->boxes[rank_];
    for (auto post = box.begin(); post != box.end(); ++post) {
      if (post->tag != tag || (from != any_rank && post->from != from)) continue;
      Message message{post->from, std::move(post->bytes)};
      box.erase(post);
      return message;
    }
    return std::nullopt;
  }

  std::shared_ptr<Transport> group(std::span<const int> ranks, int id) override {
    const std::lock_guard lock(office_->mutex);
    std::shared_ptr<Office> shared = office_->groups[id].lock();
    if (!shared) office_->groups[id] = shared = std::make_shared<Office>(static_cast<int>(ranks.size()));
    made_[id] = shared;  // keeps the group alive until a slower member has come
    for (size_t i = 0; i < ranks.size(); ++i)
      if (ranks[i] == rank_) return std::make_shared<ThreadTransport>(shared, static_cast<int>(i));
    throw Internal({"group", "rank " + std::to_string(rank_) + " is no member of it", ""});
  }

 private:
  std::shared_ptr<Office> office_;
  int rank_;
  std::map<int, std::shared_ptr<Office>> made_;
};

}  // namespace

std::vector<Communicator> thread_ranks(int size) {
  const auto office = std::make_shared<Office>(size);
  std::vector<Communicator> ranks;
  for (int rank = 0; rank < size; ++rank) ranks.emplace_back(std::make_shared<ThreadTransport>(office, rank));
  return ranks;
}

}  // namespace cmc::distributed
