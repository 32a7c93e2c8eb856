// Fine-tuning of each target itself: what a delta trained once is compared with (paper, Tables 1 and 2), and the tuned models
// of the similarity stage.
#include <algorithm>

#include "stages/footprint.hpp"
#include "stages/instruction_data.hpp"
#include "stages/model_pairs.hpp"
#include "stages/planner.hpp"
#include "stages/stage.hpp"
#include "stages/tofu_data.hpp"
#include "stages/training.hpp"

namespace cmc::stages {
namespace {

std::string section_of(const std::string& purpose) { return purpose == "unlearn" ? "adapt_unlearn" : "adapt_instruct"; }

Json training_of(const Experiment& experiment, const std::string& purpose, const std::string& method) {
  const std::string section = section_of(purpose);
  Json training = training_parameters(experiment, section);
  if (purpose == "other") training["epochs"] = experiment.integer("similarity.other_epochs");
  return method == "lora" ? with_lora(std::move(training), experiment, section) : training;
}

// `purpose`: "instruct", "unlearn", or "other" (the different data of the similarity experiment).
void add(Planner& planner, const std::string& target, const std::string& method, const std::string& purpose) {
  const auto& experiment = planner.experiment();
  const std::string name = purpose + "." + method;
  if (!planner.find("adapt." + name, target).empty()) return;
  distributed::Task task;
  task.stage = "adapt";
  task.name = (method == "lora" ? "LoRA of " : "fine-tune ") + target + ", " + purpose;
  task.parameters = {{"target", target},
                     {"method", method},
                     {"purpose", purpose},
                     {"model", purpose == "unlearn" ? planner.prepared(target) : planner.model(target)},
                     {"training", training_of(experiment, purpose, method)}};
  auto& data = task.parameters["data"];
  if (purpose == "unlearn") data = tofu_split(planner, experiment.integer("train_unlearn.retain_items"));
  else if (purpose == "other") data = instruction_data(planner, "data.other", experiment.integer("similarity.other_items"));
  else data = instruction_data(planner, "data.alpaca", experiment.integer("train_instruct.items"));
  Planner::needs(task, task.parameters.at("model"));
  const double parameters = parameter_count(planner.config(target)), tokens = purpose == "unlearn" ? 160 * 70 : 250.0 * instruction_count(data);
  task.seconds = 3 * forward_seconds(parameters, tokens * task.parameters.at("training").at("epochs").get<double>());
  // Frozen weights in the type that models compute in, and half a float each for adapters and what layers keep for them; else
  // each with its gradient and Adam's two moments.
  task.bytes = static_cast<int64_t>(parameters * (method == "lora" ? static_cast<double>(computed_bytes(experiment)) + 2 : 16));
  task.shares = static_cast<int>(experiment.integer(section_of(purpose) + ".shares"));
  task.resumable = true;
  planner.remember("adapt." + name, target, planner.add(std::move(task)));
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  for (const std::string purpose : {"instruct", "unlearn"})
    for (const auto& target : experiment.targets_of(purpose))
      for (const auto& method : experiment.list("methods." + purpose))
        if (method == "lora" || method == "full") add(planner, target, method, purpose);
  const std::string tuned = experiment.text("similarity.method");
  for (const auto& pair : model_pairs(experiment))
    for (const auto& model : {pair.reference, pair.other})
      for (const char* purpose : {"instruct", "other"}) add(planner, model, tuned, purpose);
}

train::TrainData read_data(const Json& p, const text::Tokenizer& tokenizer, const train::TrainSettings& settings,
                           const Workbench& bench) {
  if (p.at("purpose") == "unlearn") return unlearning_data(p.at("data"), p.at("training"), settings, tokenizer, bench);
  train::TrainData data;
  data.examples = instruction_examples(p.at("data"), tokenizer, p.at("training").at("max_tokens"), bench);
  return data;
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator& group) {
  const auto& p = task.parameters;
  const auto tokenizer = bench.tokenizer(p.at("model"));
  const bool unlearn = p.at("purpose") == "unlearn";
  auto settings = training_settings(p.at("training"), unlearn ? train::unlearning_settings() : train::instruction_settings());
  settings.seed = bench.seed(task.key);
  settings.checkpoint_every = bench.experiment().integer(section_of(p.at("purpose").get<std::string>()) + ".checkpoint_steps");
  auto trained = trained_part(p.at("model"), p.at("training"), settings.seed, bench);
  return run_training({task, std::move(trained), {}, read_data(p, *tokenizer, settings, bench), settings, bench.folder(p.at("model"))},
                      bench, group);
}

}  // namespace

const Stage adapt_stage = {"adapt", plan, run};

}  // namespace cmc::stages
