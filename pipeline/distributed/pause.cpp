#include "pipeline/distributed/pause.hpp"

#include <algorithm>
#include <thread>

namespace cmc::distributed {

void Pause::operator()() {
  constexpr int yields = 100, longest_microseconds = 2000;
  if (yields_ == 0 && awake_.count() > 0) until_ = Clock::now() + awake_;
  if (yields_ < yields || (sleeps_ == 0 && awake_.count() > 0 && Clock::now() < until_)) {
    ++yields_;
    return std::this_thread::yield();
  }
  sleeps_ = std::min(sleeps_ + 1, 100);
  std::this_thread::sleep_for(std::chrono::microseconds(std::min(20 * sleeps_, longest_microseconds)));
}

}  // namespace cmc::distributed
