#include "pipeline/core/process_time.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <thread>

namespace cmc {
namespace {

double by_getrusage() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

}  // namespace

// The system's other count of the same: it cannot lie outside two readings of it, but for its coarser steps.
TEST(ProcessTime, IsTheProcessorTimeOfAllThreads) {
  constexpr double step = 0.02;
  const double before = by_getrusage(), start = process_cpu_seconds();
  std::thread other([&] {
    while (by_getrusage() < before + 0.1)
      ;
  });
  other.join();
  const double end = process_cpu_seconds(), after = by_getrusage();
  EXPECT_GE(end - start, 0.1 - step) << "another thread has used it";
  EXPECT_LE(end, after + step);
  EXPECT_GE(start, before - step);
}

}  // namespace cmc
