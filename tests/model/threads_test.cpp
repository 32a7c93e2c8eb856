#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <mutex>
#include <set>
#include <thread>

namespace cmc::model {
namespace {

// LibTorch's template runs on one thread, without a word, where it is compiled without OpenMP.
TEST(Threads, LoopsRunOnAllThatAreAskedFor) {
  const int before = at::get_num_threads();
  at::set_num_threads(2);
  std::mutex mutex;
  std::set<std::thread::id> seen;
  at::parallel_for(0, 2, 1, [&](int64_t, int64_t) {
    const std::lock_guard lock(mutex);
    seen.insert(std::this_thread::get_id());
  });
  at::set_num_threads(before);
  EXPECT_EQ(seen.size(), 2u);
}

}  // namespace
}  // namespace cmc::model
