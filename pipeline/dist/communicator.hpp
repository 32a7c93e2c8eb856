#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace cmc::dist {

// A group of ranks as a value. The default one is the null state: one rank, every collective is the identity.
// Errors of MPI throw Internal. Blocking calls poll with a pause, so that waiting burns no core.
class Communicator {
 public:
  Communicator() = default;

  int rank() const;
  int size() const;

  // Sums shares in share order, the same bits for any number of ranks: share s belongs to rank s * size / shares
  // (contiguous blocks), `mine` holds this rank's shares in order, each of one length; every rank gets the sum in `sum`.
  void ordered_sum(std::span<const std::span<const float>> mine, std::span<float> sum) const;
  void broadcast(std::span<std::byte> bytes, int root) const;
  void barrier() const;

  struct Impl;
  explicit Communicator(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  const Impl* impl() const { return impl_.get(); }

 private:
  std::shared_ptr<const Impl> impl_;
};

// The shares of `rank` of `size` when `shares` are dealt in contiguous blocks: [first, last).
struct ShareRange { int first, last; };
ShareRange shares_of(int rank, int size, int shares);

}  // namespace cmc::dist
