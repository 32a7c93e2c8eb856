#pragma once
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "stages/planning/planner.hpp"
#include "stages/planning/stage.hpp"

namespace cmc::stages {

struct ExperimentPlan {
  distributed::Plan whole, chosen;
  Places places;
  std::map<std::string, AbsentInput> absent;  // by path: what was assumed
  std::set<std::string> provisional;          // keys of the tasks that rest on it
  DeviceUse devices;
};

// The whole plan that `stages` make of an experiment, every seed of it, checked, and what is chosen of it: the stages
// `only` and what they need (empty: all). Makes the generated world of each seed in `output`/world/, where the
// experiment has one and it is not there yet. Throws Usage for an unknown stage, BadExperiment, BadData, and
// MissingInput where `absent` does not assume what is known.
ExperimentPlan plan_experiment(const std::vector<Stage>& stages, const Experiment& experiment,
                               const std::filesystem::path& output, const std::vector<std::string>& only,
                               Absent absent);

}  // namespace cmc::stages
