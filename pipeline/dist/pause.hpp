#pragma once

namespace cmc::dist {

// Waiting that is quick at first and cheap later: yields, then sleeps for longer and longer, up to 2 ms.
class Pause {
 public:
  void operator()();

 private:
  int calls_ = 0;
};

}  // namespace cmc::dist
