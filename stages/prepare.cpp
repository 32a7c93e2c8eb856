// Fine-tuning of template and targets on what will be unlearned (protocol, "Before unlearning").
#include "stages/planner.hpp"
#include "stages/stage.hpp"
#include "stages/tofu_data.hpp"
#include "stages/training.hpp"

namespace cmc::stages {
namespace {

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  if (experiment.integer("prepare.epochs") == 0 || experiment.list("deltas.unlearn").empty()) return;
  auto models = experiment.list("models.targets");
  models.push_back(experiment.text("models.template"));
  for (const auto& name : models) {
    if (!planner.find("prepare", name).empty()) continue;
    dist::Task task;
    task.stage = "prepare";
    task.name = "fine-tune " + name + " on TOFU";
    task.parameters = {{"target", name},
                       {"model", planner.model(name)},
                       {"data", tofu_split(planner, experiment.integer("prepare.retain_items"))},
                       {"training", training_parameters(experiment, "prepare")}};
    const double parameters = parameter_count(planner.config(name));
    const double items = 40 + static_cast<double>(experiment.integer("prepare.retain_items"));
    task.seconds = 3 * forward_seconds(parameters, items * 70 * static_cast<double>(experiment.integer("prepare.epochs")));
    task.bytes = static_cast<int64_t>(parameters * 16);  // weights, gradients, two moments in float32
    task.shares = static_cast<int>(experiment.integer("prepare.shares"));
    planner.remember("prepare", name, planner.add(std::move(task)));
  }
}

store::Unit run(const dist::Task& task, Workbench& bench, const dist::Communicator& group) {
  const auto& p = task.parameters;
  const auto tokenizer = bench.tokenizer(p.at("model"));
  const auto split = read_tofu_split(p.at("data"), bench);
  const int64_t max_tokens = p.at("training").at("max_tokens");
  train::TrainData data{tofu_examples(split.forget, *tokenizer, max_tokens), {}};
  for (auto& example : tofu_examples(split.retain, *tokenizer, max_tokens)) data.examples.push_back(std::move(example));
  auto settings = training_settings(p.at("training"), train::unlearning_settings());
  settings.objective = train::Objective::cross_entropy;
  settings.seed = bench.seed(task.key);
  const auto folder = bench.folder(p.at("model"));
  return run_training({task, model::DecoderModel::load(folder, torch::kFloat32, bench.compute().device), {}, std::move(data),
                       settings, folder}, bench, group);
}

}  // namespace

const Stage prepare_stage = {"prepare", plan, run};

}  // namespace cmc::stages
