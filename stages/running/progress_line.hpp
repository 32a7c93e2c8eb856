#pragma once
#include <chrono>
#include <string>

#include "pipeline/distributed/scheduler.hpp"

namespace cmc::stages {

// Shows a run's progress on stderr: a bar that is redrawn on a terminal, else one line every half minute.
class ProgressLine {
 public:
  void show(const distributed::Progress& progress);
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now(), last_{};
};

// "12/48 tasks, 35 %, 0:02:10 gone, about 0:04:02 left; now: …". Time left from the speed so far.
std::string describe(const distributed::Progress& progress, double seconds_gone);

// "1:02:03"
std::string clock_time(double seconds);

}  // namespace cmc::stages
