#pragma once
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/kernels/body.hpp"

namespace cmc::kernels {

// The order in which the host lets blocks and threads go on. Any is allowed on a device; tests draw theirs.
struct InOrder {
  static constexpr size_t blocks = 1;  // under way at once
  size_t block(size_t) { return 0; }   // which of so many goes on to its next barrier
  void threads(std::vector<int>&) {}   // puts them in order
};

// Runs a body thread by thread. Shared and private memory hold NaNs at first, as garbage would lie there on a device.
template <class Body, class Order = InOrder>
void run_on_host(const typename Body::Arguments& arguments, Order order = {}) {
  struct Block {
    Place place;
    int phases, next = 0;
    std::unique_ptr<typename Body::Shared> shared;
    std::vector<typename Body::Private> own;
  };
  const Grid grid = Body::grid(arguments);
  const int64_t count = grid.x * grid.y * grid.z;
  std::vector<Block> blocks;
  std::vector<int> threads(static_cast<size_t>(Body::threads));
  for (int t = 0; t < Body::threads; ++t) threads[static_cast<size_t>(t)] = t;
  for (int64_t started = 0; started < count || !blocks.empty();) {
    while (blocks.size() < Order::blocks && started < count) {
      const Place place{started % grid.x, started / grid.x % grid.y, started / grid.x / grid.y, 0};
      Block block{place, Body::phases(arguments, place), 0, std::make_unique<typename Body::Shared>(),
                  std::vector<typename Body::Private>(static_cast<size_t>(Body::threads))};
      std::memset(static_cast<void*>(block.shared.get()), 0xFF, sizeof(typename Body::Shared));
      std::memset(static_cast<void*>(block.own.data()), 0xFF, block.own.size() * sizeof(typename Body::Private));
      blocks.push_back(std::move(block));
      ++started;
    }
    const size_t chosen = order.block(blocks.size());
    Block& block = blocks[chosen];
    order.threads(threads);
    for (const int thread : threads) {
      block.place.thread = thread;
      expect(Body::phases(arguments, block.place) == block.phases, "all threads of a block meet at the same barriers");
      Body::phase(block.next, arguments, block.place, *block.shared, block.own[static_cast<size_t>(thread)]);
    }
    if (++block.next == block.phases) blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(chosen));
  }
}

}  // namespace cmc::kernels
