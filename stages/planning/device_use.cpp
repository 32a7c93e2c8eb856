#include "stages/planning/device_use.hpp"

#include <algorithm>
#include <cstdio>
#include <set>

namespace cmc::stages {
namespace {

// Of a task whose models are all split over `ranks`.
int64_t bytes_over(const std::vector<HeldModel>& held, int ranks) {
  int64_t bytes = 0;
  for (const HeldModel& one : held) bytes += one.bytes.on(ranks);
  return bytes;
}

// The fewest ranks to which its models' heads can be dealt and over which they fit; 0: none do.
int fewest_ranks(const DeviceUse& devices, const std::vector<HeldModel>& held, int64_t device_bytes) {
  const auto heads = [&](const HeldModel& one) { return devices.models.at(one.model).heads; };
  for (int ranks = 1; ranks <= heads(held.front()); ++ranks) {
    const bool are_dealt = std::ranges::all_of(held, [&](const auto& one) { return heads(one) % ranks == 0; });
    if (are_dealt && bytes_over(held, ranks) <= device_bytes) return ranks;
  }
  return 0;
}

const std::vector<HeldModel>& held_by(const DeviceUse& devices, const distributed::Task& task) {
  static const std::vector<HeldModel> nothing;
  const auto found = devices.held.find(task.key);
  return found == devices.held.end() ? nothing : found->second;
}

[[noreturn]] void refuse(const Experiment& experiment, const DeviceUse& devices, const distributed::Task& task,
                         int64_t device_bytes) {
  const std::string needs = task.name + " needs " + gibibytes(task.bytes) + " GiB on the device of a rank, which has " +
                            gibibytes(device_bytes) + " GiB";
  const auto& held = held_by(devices, task);
  if (held.empty()) experiment.fail("compute.device_memory", needs, "run it on larger devices");
  const auto shared = [](const HeldModel& one) { return one.bytes.shared / one.ranks; };
  const std::string& largest = std::ranges::max_element(held, {}, shared)->model;
  const int fitting = fewest_ranks(devices, held, device_bytes);
  std::string remedy = "no number of ranks makes it fit: lower compute.batch, or run it on larger devices";
  if (fitting > 0)
    remedy = "set " + std::to_string(fitting) + ", which needs " + gibibytes(bytes_over(held, fitting)) +
             " GiB on each of so many devices";
  for (const HeldModel& other : held)
    if (fitting > 0 && other.model != largest) remedy += ", and model." + other.model + ".tensor_parallel likewise";
  experiment.fail("model." + largest + ".tensor_parallel",
                  "is " + std::to_string(devices.models.at(largest).tensor_parallel) + ", and " + needs, remedy);
}

}  // namespace

std::string gibibytes(int64_t bytes) {
  const double number = static_cast<double>(bytes) / 0x1p30;
  char text[32];
  std::snprintf(text, sizeof text, number < 0.1 ? "%.4f" : "%.1f", number);
  return text;
}

void DeviceUse::add(const DeviceUse& other) {
  models.insert(other.models.begin(), other.models.end());
  held.insert(other.held.begin(), other.held.end());
}

std::vector<ModelNeed> needs_of(const DeviceUse& devices, const std::vector<distributed::Task>& tasks,
                                int64_t device_bytes) {
  std::map<std::string, ModelNeed> needs;
  std::set<std::pair<std::string, Held>> unfit;
  for (const auto& task : tasks)
    for (const HeldModel& one : held_by(devices, task)) {
      const SizedModel& sized = devices.models.at(one.model);
      ModelNeed& model = needs.try_emplace(one.model, ModelNeed{one.model, sized, {}, {}}).first->second;
      Need& need = one.held == Held::trained ? model.trained : model.evaluated;
      need.bytes = std::max(need.bytes, task.bytes);
      const int fewest = fewest_ranks(devices, held_by(devices, task), device_bytes);
      if (fewest == 0) unfit.emplace(one.model, one.held);
      need.devices = std::max(need.devices, fewest);
    }
  std::vector<ModelNeed> all;
  for (auto& [name, model] : needs) {
    if (unfit.contains({name, Held::evaluated})) model.evaluated.devices = 0;
    if (unfit.contains({name, Held::trained})) model.trained.devices = 0;
    all.push_back(std::move(model));
  }
  return all;
}

void expect_fits(const Experiment& experiment, const DeviceUse& devices, const std::vector<distributed::Task>& tasks,
                 int64_t device_bytes) {
  if (device_bytes == 0) return;
  const auto largest = std::ranges::max_element(tasks, {}, &distributed::Task::bytes);
  if (largest != tasks.end() && largest->bytes > device_bytes) refuse(experiment, devices, *largest, device_bytes);
}

}  // namespace cmc::stages
