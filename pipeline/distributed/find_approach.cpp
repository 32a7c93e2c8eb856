#include "pipeline/distributed/find_approach.hpp"

#include <algorithm>
#include <unordered_set>

#include "pipeline/distributed/simulation.hpp"

namespace cmc::distributed {
namespace {

constexpr double outlasts[] = {1, 1.1, 1.2, 1.4, 2, 4, 0.9, 0.8};
constexpr size_t most_simulated = 500000;  // tasks, in all: some seconds
constexpr double good_enough = 1.005;      // of the least that any schedule takes

size_t count_tasks(const Plan& plan, const std::vector<std::string>& finished, auto&& counts) {
  const std::unordered_set<std::string> done(finished.begin(), finished.end());
  return std::ranges::count_if(plan.tasks, [&](const Task& task) { return counts(task) && !done.contains(task.key); });
}

}  // namespace

Approach find_approach(const Plan& plan, const std::vector<std::string>& finished, int ranks, DispatchRules rules) {
  Approach best;
  const auto shared = [](const Task& task) { return task.shares > 1; };
  if (ranks == 1 || count_tasks(plan, finished, shared) == 0) return best;
  const size_t tasks = count_tasks(plan, finished, [](const Task&) { return true; });
  double shortest = never;
  size_t simulated = 0;
  for (const bool long_first : {false, true})
    for (const double outlast : outlasts) {
      if (simulated > 0 && simulated + tasks > most_simulated) return best;
      simulated += tasks;
      rules.approach = Approach{outlast, long_first};
      const SimulationResult result = simulate(plan, finished, ranks, {.rules = rules});
      if (result.makespan < shortest) shortest = result.makespan, best = *rules.approach;
      if (shortest <= result.least * good_enough) return best;
    }
  return best;
}

}  // namespace cmc::distributed
