// Fine-tuning of template and targets on what will be unlearned (protocol, "Before unlearning").
#include <algorithm>

#include "pipeline/data/alpaca.hpp"
#include "stages/planner.hpp"
#include "stages/stage.hpp"
#include "stages/tofu_data.hpp"
#include "stages/training.hpp"

namespace cmc::stages {
namespace {

Json training_of(const Experiment& experiment) {
  const Json training = training_parameters(experiment, "prepare");
  return experiment.text("prepare.method") == "lora" ? with_lora(training, experiment, "prepare") : training;
}

// `part`: "all" of TOFU, or "retain" alone: the model that forget quality compares with.
void add(Planner& planner, const std::string& name, const std::string& part) {
  const auto& experiment = planner.experiment();
  distributed::Task task;
  task.stage = "prepare";
  task.name = "fine-tune " + name + (part == "all" ? " on TOFU" : " on TOFU's retained examples alone");
  task.parameters = {{"target", name},
                     {"part", part},
                     {"model", planner.model(name)},
                     {"data", tofu_split(planner, experiment.integer("prepare.retain_items"))},
                     {"training", training_of(experiment)}};
  if (experiment.has("data.general")) task.parameters["general"] = planner.file(experiment.path("data.general"));
  Planner::needs(task, task.parameters.at("model"));
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
  add(planner, experiment.template_of("unlearn"), "all");
  for (const auto& name : experiment.targets_of("unlearn")) {
    if (planner.find("prepare", name).empty()) add(planner, name, "all");
    if (std::ranges::count(experiment.list("methods.unlearn"), "retain_only")) add(planner, name, "retain");
  }
}

train::TrainData read_examples(const Json& p, const text::Tokenizer& tokenizer, const Workbench& bench) {
  const auto split = read_tofu_split(p.at("data"), bench);
  std::vector<data::QuestionAnswer> pairs = split.retain;
  if (p.at("part") == "all") pairs.insert(pairs.begin(), split.forget.begin(), split.forget.end());
  if (p.contains("general")) {
    const auto general = data::read_alpaca(bench.file(p.at("general")));
    expect_planned(general.file, general.content_hash, p.at("general"));
    pairs.insert(pairs.end(), general.items.begin(), general.items.end());
  }
  train::TrainData data;
  data.examples = tofu_examples(pairs, p.at("data"), tokenizer, p.at("training").at("max_tokens"));
  return data;
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator& group) {
  const auto& p = task.parameters;
  const auto tokenizer = bench.tokenizer(p.at("model"));
  auto settings = training_settings(p.at("training"), train::unlearning_settings());
  settings.objective = train::Objective::cross_entropy;
  settings.seed = bench.seed(task.key);
  auto trained = trained_part(p.at("model"), p.at("training"), settings.seed, bench);
  return run_training({task, std::move(trained), {}, read_examples(p, *tokenizer, bench), settings, bench.folder(p.at("model"))}, bench,
                      group);
}

}  // namespace

const Stage prepare_stage = {"prepare", plan, run};

}  // namespace cmc::stages
