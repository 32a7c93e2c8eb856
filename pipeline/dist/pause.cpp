#include "pipeline/dist/pause.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

namespace cmc::dist {

void Pause::operator()() {
  constexpr int yields = 100, longest_microseconds = 2000;
  if (++calls_ <= yields) return std::this_thread::yield();
  const int step = std::min(calls_ - yields, 100);
  std::this_thread::sleep_for(std::chrono::microseconds(std::min(20 * step, longest_microseconds)));
}

}  // namespace cmc::dist
