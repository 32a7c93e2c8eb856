#pragma once
#include <map>
#include <set>
#include <string>

#include "pipeline/distributed/plan.hpp"
#include "stages/experiment/experiment.hpp"

namespace cmc::stages {

// A task's random numbers follow from what it asks for alone: stage, parameters, and what its inputs ask for. So a
// raised revision, or another device, draws the same.
class TaskSeeds {
 public:
  // Gives the task the experiment's seed, where its result depends on it, its own, and then its key. Its inputs come
  // before it.
  void fill(distributed::Task& task, const Experiment& experiment);

 private:
  std::map<std::string, std::string> asked_;  // key of a task → what it asks for
  std::set<std::string> seeded_;              // keys of those whose result depends on the experiment's seed
};

}  // namespace cmc::stages
