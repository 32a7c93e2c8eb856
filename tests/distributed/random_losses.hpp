#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "pipeline/core/random.hpp"
#include "pipeline/distributed/dispatcher.hpp"

namespace cmc::distributed {

// Ranks get lost, come back, fail and end tasks at random until the dispatcher has no more to do: it comes to that, and
// every task has one end. `look` at each assignment with the ranks that are lost then; may be unset.
inline void expect_ends_despite_losses(const Plan& plan, Dispatcher& dispatcher, Random& random, int ranks,
                                       const std::function<void(const Assignment&, const std::set<int>& lost)>& look) {
  std::set<int> lost;
  double now = 0;
  int steps = 0;
  for (; !dispatcher.complete() && steps < 5000; ++steps, now += 0.3) {
    for (const Assignment& made : dispatcher.assign(now))
      if (look) look(made, lost);
    const int one = static_cast<int>(random.below(ranks));
    if (random.below(12) == 0 && lost.size() + 1 < static_cast<size_t>(ranks) && lost.insert(one).second) {
      dispatcher.lost(now, one);
    } else if (random.below(6) == 0 && lost.erase(one) > 0) {
      dispatcher.found(one);
    } else if (const int id = dispatcher.assignment_of(one); id > 0) {
      dispatcher.report(now, id, one, {random.below(15) == 0 ? Result::failed : Result::done});
    }
  }
  EXPECT_LT(steps, 5000);
  const Outcome outcome = dispatcher.outcome();
  EXPECT_EQ(outcome.done + outcome.failed.size() + outcome.not_run.size(), plan.tasks.size());
}

}  // namespace cmc::distributed
