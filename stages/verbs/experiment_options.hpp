#pragma once
#include "stages/experiment/experiment.hpp"
#include "stages/verbs/verb.hpp"

namespace cmc::stages {

// --set, --limit, --only and --output, shared by run and plan.
void add_experiment_options(boost::program_options::options_description& options);
Experiment read_experiment(const Arguments& arguments);
std::filesystem::path output_folder(const Arguments& arguments, const Experiment& experiment);
std::vector<std::string> only_stages(const Arguments& arguments);

}  // namespace cmc::stages
