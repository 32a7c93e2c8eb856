#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "pipeline/distributed/dispatcher.hpp"

namespace cmc::distributed {

// What a simulated task really does, where it differs from the estimate.
struct SimulationSettings {
  DispatchRules rules;
  double seconds_left = never;                                      // until the job's time limit
  std::function<double(const Assignment&)> seconds = {};            // unset: the estimate
  std::function<bool(const Assignment&)> fails = {};                // unset: none
  std::function<void(double now, const Assignment&)> started = {};  // to look on; may be unset
};

struct SimulationResult {
  double makespan = 0;               // s
  double least = 0;                  // s: no schedule is shorter
  double idle_share = 0;             // of ranks * makespan
  std::map<std::string, int> loads;  // how often each residency was loaded
  int reloads = 0;                   // of these, by ranks that had held it before
  Outcome outcome;
};

// Discrete events in virtual time over the dispatcher that also drives the real run, by the approach that is found
// where the rules name none. Throws as check() and check_groups() do.
SimulationResult simulate(const Plan& plan, const std::vector<std::string>& finished, int ranks,
                          const SimulationSettings& settings = {});

// The approach by which a simulation of what is not in `finished` ends first, by the estimates; the default where it is
// as good as any. A plan of very many tasks, whose simulation takes long, has fewer approaches tried or none: its ranks
// always find something else to do.
Approach find_approach(const Plan& plan, const std::vector<std::string>& finished, int ranks, DispatchRules rules);

}  // namespace cmc::distributed
