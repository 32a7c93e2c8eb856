#pragma once
#include <string>
#include <vector>

#include "stages/planning/evaluated_systems.hpp"
#include "stages/planning/planner.hpp"

// What the experiment's [robustness] asks of which systems.
namespace cmc::stages {

// The systems on all targets that are tested: those of unlearning, fused as usual, with the deltas of
// robustness.deltas.
std::vector<Evaluated> tested_systems(Planner& planner);

// The tests of one of them. What a delta of another vocabulary steers is not relearned: its loss has no gradient
// through a token map. Throws BadExperiment where a model that several ranks hold together is to be rounded.
std::vector<records::Stress> stress_tests_of(Planner& planner, const Evaluated& evaluated);

// The strength that is tested: the one nearest to 1.
std::vector<double> tested_strength(const Planner& planner);

}  // namespace cmc::stages
