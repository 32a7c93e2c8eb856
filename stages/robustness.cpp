// TOFU under stress tests: does what was unlearned come back when the steered model is rounded to integers, asked in
// other words, led on by a prefix, or trained on part of it again?
#include <algorithm>

#include "pipeline/metrics/tofu.hpp"
#include "stages/all_stages.hpp"
#include "stages/planning/planned_data.hpp"
#include "stages/planning/stress_tests.hpp"
#include "stages/planning/tofu_tasks.hpp"
#include "stages/workbench/tofu_evaluation.hpp"

namespace cmc::stages {
namespace {

using records::RobustnessParameters, records::Stress, records::StressTest;

// What the test asks: the relearned base in place of the system's own.
Evaluated under(const Planner& planner, Evaluated evaluated, const Stress& stress) {
  if (stress.test == StressTest::relearn)
    evaluated.model = records::ModelReference::adapted(
        evaluated.system.target, planner.find(records::describe(stress), describe_curve(evaluated.system)),
        evaluated.model);
  return evaluated;
}

void add_slice(Planner& planner, const Evaluated& evaluated, const Stress& stress, const TofuFile& file,
               const records::Slice& slice) {
  distributed::Task task;
  const RobustnessParameters p{
      tofu_parameters(planner, under(planner, evaluated, stress), tested_strength(planner), file, slice, task), stress};
  task.name = tofu_task_name(records::stressed_set(file.set, stress), slice, evaluated.system);
  planner.add(std::move(task), p);
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  const auto systems = tested_systems(planner);
  if (systems.empty()) return;
  for (const auto& file : {forget_file(experiment), retain_file()}) {
    const int64_t items = taken(experiment.robustness.items, tofu_items(planner, file.stem));
    if (std::ranges::count(experiment.robustness.tests, StressTest::paraphrase))
      expect_paraphrased_questions(planner, file.stem, items);
    for (const auto& evaluated : systems)
      for (const auto& stress : stress_tests_of(planner, evaluated))
        for (const auto& slice : slices_of(items, experiment.robustness.unit_items))
          add_slice(planner, evaluated, stress, file, slice);
  }
}

// The items as the test asks them, and without those that were relearned.
std::vector<TofuItem> asked_items(const RobustnessParameters& p, const Workbench& bench) {
  auto items = read_tofu_slice(p.asked.data, p.asked.slice, bench);
  const bool is_forgotten = p.asked.set == metrics::name_of(metrics::TofuSet::forget);
  if (p.stress.test == StressTest::relearn && is_forgotten)
    std::erase_if(items, [](const TofuItem& item) { return records::is_relearned(item.place); });
  if (p.stress.test == StressTest::paraphrase)
    for (auto& [place, item] : items) item.question = item.paraphrased_question;
  return items;
}

// An answer follows the prefix as it would follow the prompt, behind a space.
records::TofuPrompt led_on(records::TofuPrompt prompt, const std::string& prefix) {
  prompt.question.after += prompt.before_answer + prefix;
  prompt.before_answer = " ";
  return prompt;
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator&) {
  auto p = records::from_json<RobustnessParameters>(task.parameters, task.name);
  if (p.stress.test == StressTest::prefix) p.asked.prompt = led_on(std::move(p.asked.prompt), p.stress.prefix);
  SteeredTarget target(p.asked.evaluation, bench, records::bits_of(p.stress.test));
  store::Unit unit;
  records::write_rows(unit, evaluate_tofu(p.asked, asked_items(p, bench), bench.progress(task.name), target));
  target.add_cost(unit);
  return unit;
}

}  // namespace

const Stage robustness_stage = {"robustness", 1, Stage::Runs::models, plan, run};

}  // namespace cmc::stages
