#include "stages/planning/stress_tests.hpp"

#include <algorithm>

#include "pipeline/metrics/strength.hpp"

namespace cmc::stages {

using records::Purpose, records::Stress, records::StressTest;

std::vector<Evaluated> tested_systems(Planner& planner) {
  const auto& experiment = planner.experiment();
  std::vector<Evaluated> systems;
  if (experiment.robustness.tests.empty() || experiment.deltas.unlearn.empty()) return systems;
  auto deltas = experiment.robustness.deltas;
  const auto& methods = experiment.robustness.methods;
  if (deltas.empty()) deltas = {experiment.deltas.unlearn.front()};
  for (const auto& target : experiment.targets_of(Purpose::unlearn))
    for (auto& evaluated : systems_on(planner, target, Purpose::unlearn)) {
      const auto& system = evaluated.system;
      const bool of_delta = !system.adds_delta() || std::ranges::count(deltas, system.delta);
      const bool of_method = methods.empty() || std::ranges::count(methods, system.method);
      if (of_delta && of_method && !evaluated.is_variant) systems.push_back(std::move(evaluated));
    }
  return systems;
}

std::vector<Stress> stress_tests_of(Planner& planner, const Evaluated& evaluated) {
  const auto& experiment = planner.experiment();
  const auto& [target, adds_delta] = std::pair(evaluated.system.target, evaluated.system.adds_delta());
  std::vector<Stress> tests;
  for (const StressTest test : experiment.robustness.tests) {
    if (test != StressTest::relearn) {
      tests.push_back({test, 0, test == StressTest::prefix ? experiment.robustness.prefix.text : ""});
    } else if (!adds_delta || evaluated.system.fusion.map.empty()) {
      for (const int64_t epochs : experiment.robustness.relearn_epochs) tests.push_back({test, epochs, ""});
    }
  }
  return tests;
}

std::vector<double> tested_strength(const Planner& planner) {
  return metrics::nearest_to_1(planner.experiment().unlearn.strengths);
}

}  // namespace cmc::stages
