#pragma once
#include <string_view>
#include <vector>

#include "pipeline/distributed/communicator.hpp"
#include "pipeline/distributed/plan.hpp"
#include "pipeline/store/unit.hpp"

namespace cmc::stages {

class Planner;
class Workbench;

// A stage knows two things: which tasks an experiment asks of it, and how to run one from its parameters alone.
struct Stage {
  std::string_view name;
  int revision;  // in the key of its tasks: raise it where the same parameters come to give other results
  enum class Runs { models, no_model } runs;  // models: their device and type of numbers are in the key too
  void (*plan)(Planner& planner);
  // Every rank of `group` calls it; rank 0's unit is stored. Fills datasets, ragged and cost.
  store::Unit (*run)(const distributed::Task& task, Workbench& bench, const distributed::Communicator& group);
};

}  // namespace cmc::stages
