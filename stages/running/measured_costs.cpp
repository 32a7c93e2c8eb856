#include "stages/running/measured_costs.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/store/unit_store.hpp"
#include "stages/running/output_folder.hpp"

namespace cmc::stages {
namespace {

constexpr size_t units_of_a_stage = 48;  // enough for a median

std::optional<distributed::MeasuredTask> measured(const distributed::Task& task, const store::UnitStore& units) {
  try {
    const store::Cost cost = units.read_cost(task.key);
    if (!cost.wall_seconds || !cost.ranks) return std::nullopt;
    return distributed::MeasuredTask{task.stage, distributed::seconds_on(task, static_cast<int>(*cost.ranks)),
                                     cost.loaded.value_or(false) ? task.load_seconds : 0, *cost.wall_seconds};
  } catch (const BadData&) {
    return std::nullopt;
  }
}

}  // namespace

distributed::CostModel measured_costs(const distributed::Plan& plan, const std::vector<std::string>& finished,
                                      const store::UnitStore& units) {
  std::map<std::string, std::vector<const distributed::Task*>> by_stage;
  for (const auto& task : plan.tasks)
    if (std::ranges::binary_search(finished, task.key)) by_stage[task.stage].push_back(&task);
  std::vector<distributed::MeasuredTask> all;
  for (const auto& [stage, tasks] : by_stage) {
    const size_t step = tasks.size() / units_of_a_stage + 1;  // spread over the stage's targets
    for (size_t i = 0; i < tasks.size(); i += step)
      if (const auto one = measured(*tasks[i], units)) all.push_back(*one);
  }
  return distributed::CostModel(all);
}

distributed::Plan with_costs_of(const std::filesystem::path& folder, const distributed::CostModel& fit,
                                const distributed::Plan& plan) {
  distributed::Plan costed = fit.calibrated(plan);
  const store::UnitStore units(folder);
  const std::vector<std::string> present = units.keys();
  for (size_t i = 0; i < plan.tasks.size(); ++i) {
    distributed::Task& task = costed.tasks[i];
    if (!std::ranges::binary_search(present, task.key)) continue;
    const auto own = measured(plan.tasks[i], units);
    if (!own || own->estimated_seconds <= 0) continue;
    const double loading = own->load_seconds > 0 ? task.load_seconds : 0;
    task.seconds = plan.tasks[i].seconds * std::max(0.0, own->wall_seconds - loading) / own->estimated_seconds;
  }
  return costed;
}

distributed::CostModel measured_costs(const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder / "plan.json")) return {};
  const store::UnitStore units(folder);
  return measured_costs(OutputFolder(folder).plan(), units.keys(), units);
}

}  // namespace cmc::stages
