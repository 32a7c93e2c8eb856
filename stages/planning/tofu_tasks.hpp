#pragma once
#include <string>
#include <vector>

#include "stages/planning/evaluated_systems.hpp"
#include "stages/planning/planner.hpp"

// Tasks that ask a system the questions of a TOFU set.
namespace cmc::stages {

// A set as the report names it, and its file without .json.
struct TofuFile {
  std::string set, stem;
};
TofuFile forget_file(const Experiment& experiment);
TofuFile retain_file();

// "TOFU forget 0-31 gemma + tiny".
std::string tofu_task_name(const std::string& set, const records::Slice& slice, const records::System& system);

// The parameters of a task that asks `evaluated`; adds inputs, residency, and what it costs, to `task`.
records::UnlearnParameters tofu_parameters(Planner& planner, const Evaluated& evaluated,
                                           const std::vector<double>& strengths, const TofuFile& file,
                                           const records::Slice& slice, distributed::Task& task);

}  // namespace cmc::stages
