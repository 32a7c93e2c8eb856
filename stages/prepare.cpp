// Fine-tuning of template and targets on what will be unlearned (protocol, "Before unlearning").
#include <algorithm>

#include "pipeline/data/alpaca.hpp"
#include "stages/all_stages.hpp"
#include "stages/planning/footprint.hpp"
#include "stages/planning/planned_compute.hpp"
#include "stages/planning/planner.hpp"
#include "stages/workbench/tofu_data.hpp"
#include "stages/workbench/training.hpp"

namespace cmc::stages {
namespace {

using records::Part, records::PrepareParameters;

records::TrainingParameters training_of(const Experiment& experiment) {
  const auto training = training_parameters(experiment.prepare, experiment.seed());
  return experiment.prepare.method == records::Method::lora ? with_lora(training, experiment.prepare.lora) : training;
}

void add(Planner& planner, const std::string& name, Part part) {
  const auto& experiment = planner.experiment();
  distributed::Task task;
  task.name = "fine-tune " + name + (part == Part::all ? " on TOFU" : " on TOFU's retained examples alone");
  PrepareParameters p{
      name, part, planner.model(name), tofu_split(planner, experiment.prepare.retain_items), training_of(experiment),
      {},   {}};
  if (!experiment.data.general.empty()) p.general = planner.file(experiment.data.general);
  if (experiment.prepare.method == records::Method::lora)
    planner.expect_linear_layers("prepare.lora_modules", experiment.prepare.lora.modules, name);
  Planner::needs(task, p.model);
  const double parameters = footprint_of(planner.config(name)).weights();
  const double items = (part == Part::all ? 40.0 : 0.0) + static_cast<double>(experiment.prepare.retain_items);
  task.seconds = 3 * forward_seconds(parameters, items * 70 * static_cast<double>(experiment.prepare.epochs));
  planner.deal_shares(task, experiment.prepare.shares, name);
  planner.takes(task, name, training_bytes(experiment, planner.config(name), p.training), Held::trained);
  planner.remember(part == Part::all ? "prepare" : std::string(name_of(records::Method::retain_only)), name,
                   planner.add(std::move(task), p));
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  if (experiment.prepare.epochs == 0 || experiment.deltas.unlearn.empty()) return;
  add(planner, experiment.template_of(records::Purpose::unlearn), Part::all);
  for (const auto& name : experiment.targets_of(records::Purpose::unlearn)) {
    if (planner.find("prepare", name).empty()) add(planner, name, Part::all);
    if (std::ranges::count(experiment.methods.unlearn, records::Method::retain_only)) add(planner, name, Part::retain);
  }
}

train::TrainData read_examples(const PrepareParameters& p, const text::Tokenizer& tokenizer, const Workbench& bench) {
  const auto split = read_tofu_split(p.data, bench);
  std::vector<data::QuestionAnswer> pairs = split.retain;
  if (p.part == Part::all) pairs.insert(pairs.begin(), split.forget.begin(), split.forget.end());
  if (p.general) {
    const auto general = data::read_alpaca(bench.file(*p.general));
    expect_planned(general.file, general.content_hash, *p.general);
    pairs.insert(pairs.end(), general.items.begin(), general.items.end());
  }
  train::TrainData data;
  data.examples = tofu_examples(pairs, p.data, tokenizer, p.training.max_tokens);
  return data;
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator& group) {
  const auto p = records::from_json<PrepareParameters>(task.parameters, task.name);
  const auto tokenizer = bench.tokenizer(p.model);
  auto settings = training_settings(p.training, train::unlearning_settings());
  settings.objective = train::Objective::cross_entropy;
  settings.seed = task.seed;
  auto trained = trained_part(task, p.model, p.training, bench);
  return run_training(
      {task, std::move(trained), {}, read_examples(p, *tokenizer, bench), settings, bench.folder(p.model)}, bench,
      group);
}

}  // namespace

const Stage prepare_stage = {"prepare", 1, Stage::Runs::models, plan, run};

}  // namespace cmc::stages
