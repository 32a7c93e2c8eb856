// TOFU: what a target still knows of the forget set, and of what it should keep (protocol, "TOFU evaluation").
#include <map>

#include "pipeline/metrics/tofu.hpp"
#include "stages/all_stages.hpp"
#include "stages/planning/planned_data.hpp"
#include "stages/planning/tofu_tasks.hpp"
#include "stages/workbench/tofu_evaluation.hpp"

namespace cmc::stages {
namespace {

std::vector<TofuFile> sets(const Experiment& experiment) {
  std::vector<TofuFile> sets = {forget_file(experiment),
                                retain_file(),
                                {"real_authors", "real_authors_perturbed"},
                                {"world_facts", "world_facts_perturbed"}};
  if (!experiment.unlearn.holdout.empty()) sets.push_back({"holdout", experiment.unlearn.holdout});
  return sets;
}

// What the model that never saw the forget set is measured on: what others are compared with.
bool is_compared(const std::string& set) {
  return set == metrics::name_of(metrics::TofuSet::forget) || set == metrics::name_of(metrics::TofuSet::holdout);
}

void add_slice(Planner& planner, const Evaluated& evaluated, const TofuFile& file, const records::Slice& slice) {
  distributed::Task task;
  const auto p = tofu_parameters(planner, evaluated, planner.experiment().unlearn.strengths, file, slice, task);
  task.name = tofu_task_name(file.set, slice, evaluated.system);
  planner.add(std::move(task), p);
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  if (experiment.deltas.unlearn.empty()) return;
  std::map<std::string, int64_t> sizes;
  for (const auto& [set, stem] : sets(experiment))
    sizes[set] = taken(experiment.unlearn.items, tofu_items(planner, stem));
  for (const auto& target : experiment.targets_of(records::Purpose::unlearn))
    for (const auto& system : systems_on(planner, target, records::Purpose::unlearn))
      for (const auto& [set, stem] : sets(experiment)) {
        if (system.system.method == records::Method::retain_only && !is_compared(set)) continue;
        for (const auto& slice : slices_of(sizes[set], experiment.unlearn.unit_items))
          add_slice(planner, system, {set, stem}, slice);
      }
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator&) {
  const auto p = records::from_json<records::UnlearnParameters>(task.parameters, task.name);
  SteeredTarget target(p.evaluation, bench);
  store::Unit unit;
  records::write_rows(unit,
                      evaluate_tofu(p, read_tofu_slice(p.data, p.slice, bench), bench.progress(task.name), target));
  target.add_cost(unit);
  return unit;
}

}  // namespace

const Stage unlearn_stage = {"unlearn", 2, Stage::Runs::models, plan, run};

}  // namespace cmc::stages
