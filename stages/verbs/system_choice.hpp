#pragma once
#include <boost/program_options.hpp>
#include <string>
#include <vector>

#include "pipeline/distributed/plan.hpp"
#include "pipeline/records/task_labels.hpp"
#include "stages/verbs/verb.hpp"

namespace cmc::stages {

// A system that a run evaluates, and the tasks that hold its answers.
struct PlannedSystem {
  records::System system;  // with its strength
  std::vector<const distributed::Task*> tasks;
};

// --target, --method, --delta, --alpha, --mode, --map, --unmapped, --top, --seed, and --all.
void add_system_options(boost::program_options::options_description& options);

// The systems of `tasks` (instruct or unlearn) that the options name: one, or with --all any number. `seeds`: of the
// plan's tasks. Throws Usage with the choices and the flags that tell them apart where several are meant, MissingInput
// where none is.
std::vector<PlannedSystem> chosen_systems(const Arguments& arguments,
                                          const std::vector<const distributed::Task*>& tasks,
                                          const records::Seeds& seeds);

// "gemma-cmc-tiny-alpha0.5-raw_sum-seed2": the flags' values, fit for a file.
std::string file_stem(const records::System& system);

}  // namespace cmc::stages
