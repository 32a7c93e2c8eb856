// Relearning: adapters beside what has unlearned, trained on every second item of the forget set. How much of the other
// items comes back, the stage robustness asks.
#include "pipeline/core/error.hpp"
#include "stages/all_stages.hpp"
#include "stages/planning/footprint.hpp"
#include "stages/planning/planned_compute.hpp"
#include "stages/planning/planned_data.hpp"
#include "stages/planning/stress_tests.hpp"
#include "stages/planning/tofu_tasks.hpp"
#include "stages/workbench/tofu_data.hpp"
#include "stages/workbench/tofu_evaluation.hpp"
#include "stages/workbench/training.hpp"

namespace cmc::stages {
namespace {

using records::RelearnParameters;

records::TrainingParameters training_of(const Experiment& experiment, int64_t epochs) {
  auto training = with_lora(training_parameters(experiment.relearn, experiment.seed()), experiment.relearn.lora);
  training.epochs = epochs;
  return training;
}

void add(Planner& planner, const Evaluated& evaluated, const records::Stress& stress) {
  const auto& experiment = planner.experiment();
  const auto& target = evaluated.system.target;
  const TofuFile file = forget_file(experiment);
  distributed::Task task;
  task.name = records::describe(stress) + ": " + describe_curve(evaluated.system);
  const RelearnParameters p{evaluation_of(planner, evaluated, tested_strength(planner), task),
                            file.stem,
                            planner.file(experiment.given(experiment.data.tofu) / (file.stem + ".json")),
                            experiment.relearn.items,
                            tofu_prompt(experiment.unlearn),
                            training_of(experiment, stress.epochs)};
  planner.expect_linear_layers("relearn.lora_modules", experiment.relearn.lora.modules, target);
  const double parameters = footprint_of(planner.config(target)).weights();
  const auto items = static_cast<double>(taken(p.items, tofu_items(planner, file.stem) / 2));
  task.seconds = 3 * forward_seconds(parameters, items * 70 * static_cast<double>(stress.epochs));
  planner.deal_shares(task, p.training.shares, target);
  planner.takes(task, target, training_bytes(experiment, planner.config(target), p.training), Held::trained);
  task.resumable = true;
  planner.remember(records::describe(stress), describe_curve(evaluated.system), planner.add(std::move(task), p));
}

void plan(Planner& planner) {
  for (const auto& evaluated : tested_systems(planner))
    for (const auto& stress : stress_tests_of(planner, evaluated))
      if (stress.test == records::StressTest::relearn) add(planner, evaluated, stress);
}

std::vector<train::Example> examples_of(const RelearnParameters& p, const text::Tokenizer& tokenizer,
                                        const Workbench& bench) {
  const TofuPrompt prompt(p.prompt);
  std::vector<train::Example> examples;
  for (const auto& [place, item] : read_tofu_set(p.data, bench)) {
    if (!records::is_relearned(place) || (p.items > 0 && std::ssize(examples) == p.items)) continue;
    examples.push_back(train::encode_answer(tokenizer, prompt.question(item.question), prompt.answer(item.answer),
                                            p.training.max_tokens));
  }
  if (examples.empty())
    throw BadData({p.data.file, "holds a single item", "every second one is relearned: give a set of two or more"});
  return examples;
}

// The delta stands beside the base as it does when the system is asked.
std::vector<train::FrozenModel> frozen_delta(const records::Evaluation& evaluation, Workbench& bench) {
  std::vector<train::FrozenModel> frozen;
  for (const auto& part : evaluation.parts) {
    const auto model = bench.model(part.model);
    frozen.push_back({model, bench.hidden_states(part.model, model), part.weight * evaluation.strengths.front()});
  }
  return frozen;
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator& group) {
  const auto p = records::from_json<RelearnParameters>(task.parameters, task.name);
  auto settings = training_settings(p.training, train::unlearning_settings());
  settings.objective = train::Objective::cross_entropy;
  settings.seed = task.seed;
  train::TrainData data;
  data.examples = examples_of(p, *bench.tokenizer(p.evaluation.model), bench);
  auto trained = trained_part(task, p.evaluation.model, p.training, bench);
  return run_training({task, std::move(trained), frozen_delta(p.evaluation, bench), std::move(data), settings,
                       bench.folder(p.evaluation.model)},
                      bench, group);
}

}  // namespace

const Stage relearn_stage = {"relearn", 1, Stage::Runs::models, plan, run};

}  // namespace cmc::stages
