#pragma once
#include <chrono>

namespace cmc::distributed {

// Waiting that is quick at first and cheap later: yields, then sleeps for longer and longer, up to 2 ms.
class Pause {
 public:
  // `awake`: how long it yields at least before it sleeps.
  explicit Pause(std::chrono::microseconds awake = {}) : awake_(awake) {}
  void operator()();

 private:
  using Clock = std::chrono::steady_clock;
  std::chrono::microseconds awake_;
  Clock::time_point until_ = {};
  int yields_ = 0, sleeps_ = 0;
};

}  // namespace cmc::distributed
