#include "pipeline/distributed/simulation.hpp"

#include <algorithm>
#include <queue>

#include "pipeline/core/error.hpp"

namespace cmc::distributed {
namespace {

constexpr double outlasts[] = {1, 1.1, 1.2, 1.4, 2, 4, 0.9, 0.8};
constexpr size_t most_simulated = 200000;  // tasks, in all: about a second
constexpr double good_enough = 1.005;      // of the least that any schedule takes

struct End {
  double at;
  Assignment assignment;
  bool operator>(const End& other) const {
    return std::pair(at, assignment.id) > std::pair(other.at, other.assignment.id);
  }
};

}  // namespace

SimulationResult simulate(const Plan& plan, const std::vector<std::string>& finished, int ranks,
                          const SimulationSettings& settings) {
  check(plan);
  const Nodes nodes = settings.rules.nodes.empty() ? Nodes(ranks) : settings.rules.nodes;
  check_groups(plan, finished, nodes);
  expect(ranks > 0, "a simulation has at least one rank");
  DispatchRules rules = settings.rules;
  if (!rules.approach) rules.approach = find_approach(plan, finished, ranks, rules);
  Dispatcher dispatcher(plan, finished, ranks, rules);
  std::priority_queue<End, std::vector<End>, std::greater<>> ends;
  SimulationResult result;
  double now = 0, busy = 0;
  while (!dispatcher.complete()) {
    for (Assignment& one : dispatcher.assign(now, settings.seconds_left - now)) {
      const double seconds = settings.seconds ? settings.seconds(one) : one.seconds;
      if (one.loads > 0) result.loads[plan.tasks[one.task].residency] += one.loads, result.reloads += one.reloads;
      if (settings.started) settings.started(now, one);
      busy += seconds * static_cast<double>(one.ranks.size());
      ends.push({now + seconds, std::move(one)});
    }
    if (ends.empty()) {
      if (dispatcher.complete()) break;
      now = dispatcher.wake_up();
      expect(now < never, "a plan that is not complete goes on");
      continue;
    }
    if (dispatcher.wake_up() < ends.top().at) {
      now = dispatcher.wake_up();
      continue;
    }
    const End end = ends.top();
    ends.pop();
    now = end.at;
    const Result how = settings.fails && settings.fails(end.assignment) ? Result::failed : Result::done;
    for (const int rank : end.assignment.ranks)
      dispatcher.report(now, end.assignment.id, rank, {how, "simulated failure"});
    result.makespan = now;
  }
  result.outcome = dispatcher.outcome();
  const Plan rest = outline_of_unfinished(plan, finished);
  result.least = std::max(least_seconds(rest, ranks), least_group_seconds(rest, nodes));
  if (result.makespan > 0) result.idle_share = 1 - busy / (result.makespan * ranks);
  return result;
}

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
