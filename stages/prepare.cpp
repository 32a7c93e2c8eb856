// Fine-tuning of template and targets on what will be unlearned (protocol, "Before unlearning").
#include <algorithm>

#include "stages/planner.hpp"
#include "stages/stage.hpp"
#include "stages/tofu_data.hpp"
#include "stages/training.hpp"

namespace cmc::stages {
namespace {

// `part`: "all" of TOFU, or "retain" alone: the model that forget quality compares with.
void add(Planner& planner, const std::string& name, const std::string& part) {
  const auto& experiment = planner.experiment();
  dist::Task task;
  task.stage = "prepare";
  task.name = "fine-tune " + name + (part == "all" ? " on TOFU" : " on TOFU's retained examples alone");
  task.parameters = {{"target", name},
                     {"part", part},
                     {"model", planner.model(name)},
                     {"data", tofu_split(planner, experiment.integer("prepare.retain_items"))},
                     {"training", training_parameters(experiment, "prepare")}};
  const double parameters = parameter_count(planner.config(name));
  const double items = (part == "all" ? 40.0 : 0.0) + static_cast<double>(experiment.integer("prepare.retain_items"));
  task.seconds = 3 * forward_seconds(parameters, items * 70 * static_cast<double>(experiment.integer("prepare.epochs")));
  task.bytes = static_cast<int64_t>(parameters * 16);  // weights, gradients, two moments in float32
  task.shares = static_cast<int>(experiment.integer("prepare.shares"));
  planner.remember(part == "all" ? "prepare" : "retain_only", name, planner.add(std::move(task)));
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  if (experiment.integer("prepare.epochs") == 0 || experiment.list("deltas.unlearn").empty()) return;
  add(planner, experiment.text("models.template"), "all");
  for (const auto& name : experiment.list("models.targets")) {
    if (planner.find("prepare", name).empty()) add(planner, name, "all");
    if (std::ranges::count(experiment.list("methods.unlearn"), "retain_only")) add(planner, name, "retain");
  }
}

store::Unit run(const dist::Task& task, Workbench& bench, const dist::Communicator& group) {
  const auto& p = task.parameters;
  const auto tokenizer = bench.tokenizer(p.at("model"));
  const auto split = read_tofu_split(p.at("data"), bench);
  const int64_t max_tokens = p.at("training").at("max_tokens");
  train::TrainData data;
  if (p.at("part") == "all") data.examples = tofu_examples(split.forget, *tokenizer, max_tokens);
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
