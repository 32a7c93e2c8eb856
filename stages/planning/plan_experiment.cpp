#include "stages/planning/plan_experiment.hpp"

#include <algorithm>
#include <set>

#include "pipeline/core/error.hpp"
#include "stages/planning/world.hpp"

namespace cmc::stages {
namespace {

void check_stages(const std::vector<Stage>& stages, const std::vector<std::string>& only) {
  for (const auto& name : only) {
    if (std::ranges::any_of(stages, [&](const Stage& stage) { return stage.name == name; })) continue;
    std::string known;
    for (const auto& stage : stages) known += (known.empty() ? "" : ", ") + std::string(stage.name);
    throw Usage({"--only " + name, "is not a stage", "known: " + known});
  }
}

// `only` and everything it needs.
void keep_stages(distributed::Plan& plan, const std::vector<std::string>& only) {
  std::map<std::string, bool> wanted;
  for (auto task = plan.tasks.rbegin(); task != plan.tasks.rend(); ++task) {
    bool& keep = wanted[task->key];
    keep = keep || std::ranges::count(only, task->stage);
    if (keep)
      for (const auto& input : task->inputs) wanted[input] = true;
  }
  std::erase_if(plan.tasks, [&](const distributed::Task& task) { return !wanted[task.key]; });
}

}  // namespace

ExperimentPlan plan_experiment(const std::vector<Stage>& stages, const Experiment& experiment,
                               const std::filesystem::path& output, const std::vector<std::string>& only,
                               Absent absent) {
  check_stages(stages, only);
  ExperimentPlan all;
  std::set<std::string> known;  // seeds share what does not depend on them
  for (const int64_t seed : experiment.about.seeds) {
    const Experiment one =
        experiment.for_seed(seed, experiment.has_world() ? made_world(experiment, seed, output) : "");
    Planner planner(one, absent);
    for (const auto& stage : stages) {
      planner.begin(stage);
      stage.plan(planner);
    }
    for (auto& task : planner.take().tasks) {
      if (!known.insert(task.key).second) continue;
      if (planner.is_provisional(task.key)) all.provisional.insert(task.key);
      all.whole.tasks.push_back(std::move(task));
    }
    all.absent.insert(planner.absent().by_path().begin(), planner.absent().by_path().end());
    all.devices.add(planner.devices());
    all.places.insert(planner.places().begin(), planner.places().end());
  }
  distributed::check(all.whole);
  all.chosen = all.whole;
  if (!only.empty()) keep_stages(all.chosen, only);
  return all;
}

}  // namespace cmc::stages
