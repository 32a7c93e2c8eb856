#pragma once
#include <filesystem>
#include <string>

#include "stages/planning/plan_experiment.hpp"

// What cmc plan prints for people.
namespace cmc::stages {

// A line a task: its key, its time, its name. Keys that rest on what was assumed are marked with ~.
std::string task_lines(const ExperimentPlan& plan);

// Number, time and memory of the tasks of each stage, and of all.
std::string sums_by_stage(const distributed::Plan& plan);

// What is not there, how large it is, what was assumed of it, and the commands that fetch it; empty where all is there.
// `experiment`: its file, as it was named.
std::string text_of_absent(const ExperimentPlan& plan, const std::string& experiment);

}  // namespace cmc::stages
