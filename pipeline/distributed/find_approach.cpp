#include "pipeline/distributed/find_approach.hpp"

#include <algorithm>

#include "pipeline/distributed/simulation.hpp"

namespace cmc::distributed {
namespace {

constexpr double outlasts[] = {1, 1.1, 1.2, 1.4, 2, 4, 0.9, 0.8};
constexpr size_t most_simulated = 200000;  // tasks, in all: about a second
constexpr double good_enough = 1.005;      // of the least that any schedule takes

}  // namespace

Approach find_approach(const Plan& plan, const std::vector<std::string>& finished, int ranks, DispatchRules rules) {
  Approach best;
  const Plan rest = outline_of_unfinished(plan, finished);
  const size_t tasks = rest.tasks.size();
  const bool shared = std::ranges::any_of(rest.tasks, [](const Task& task) { return task.shares > 1; });
  if (ranks == 1 || !shared || 2 * tasks > most_simulated) return best;
  double shortest = never;
  size_t simulated = 0;
  for (const bool long_first : {false, true})
    for (const double outlast : outlasts) {
      if (simulated + tasks > most_simulated) return best;
      simulated += tasks;
      rules.approach = Approach{outlast, long_first};
      const SimulationResult result = simulate(rest, {}, ranks, {.rules = rules});
      if (result.makespan < shortest) shortest = result.makespan, best = *rules.approach;
      if (shortest <= result.least * good_enough) return best;
    }
  return best;
}

}  // namespace cmc::distributed
