#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "pipeline/distributed/plan.hpp"
#include "stages/planning/footprint.hpp"

namespace cmc::stages {

enum class Held { evaluated, trained };

// A model that a task has on a device.
struct HeldModel {
  std::string model;
  DeviceBytes bytes = {};
  int ranks = 1;  // over which it is split
  Held held = Held::evaluated;
};

struct SizedModel {
  int64_t weights = 0;  // bytes, in the type that models compute in
  int64_t heads = 0;
  int tensor_parallel = 1, pipeline_parallel = 1;  // as set
};

// What the tasks of a plan hold on their devices.
struct DeviceUse {
  std::map<std::string, SizedModel> models;            // by name
  std::map<std::string, std::vector<HeldModel>> held;  // by the task's key

  void add(const DeviceUse& other);
};

// What the largest of a model's tasks take of a device, and over how many of them the model, and what else such a task
// holds, has to be split: the fewest that the heads can be dealt to. 0: not known without the size of a device, or none
// is enough.
struct Need {
  int64_t bytes = 0;  // as it is set; 0: there is no such task
  int devices = 0;
};
struct ModelNeed {
  std::string model;
  SizedModel sized;
  Need evaluated, trained;
};
// `device_bytes`: of each rank's device; 0: not known.
std::vector<ModelNeed> needs_of(const DeviceUse& devices, const std::vector<distributed::Task>& tasks,
                                int64_t device_bytes);

// A number of GiB for people.
std::string gibibytes(int64_t bytes);

// Throws BadExperiment, naming the setting and what would fit, where a task takes more than its device has.
void expect_fits(const Experiment& experiment, const DeviceUse& devices, const std::vector<distributed::Task>& tasks,
                 int64_t device_bytes);

}  // namespace cmc::stages
