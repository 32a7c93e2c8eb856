// The delta models: trained beside the frozen template, for instructions and for unlearning (paper, section 3).
#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/train/delta.hpp"
#include "stages/footprint.hpp"
#include "stages/instruction_data.hpp"
#include "stages/planner.hpp"
#include "stages/stage.hpp"
#include "stages/tofu_data.hpp"
#include "stages/training.hpp"

namespace cmc::stages {
namespace {

// What is trained, by `role`:
//   delta   beside the frozen template: the paper's
//   expert  alone, as a language model: proxy tuning adds what it has learnt, expert − start
//   offset  beside the template, with its start taken away: delta-unlearning's pair
distributed::Task base_task(Planner& planner, const std::string& kind, const std::string& role, const std::string& delta) {
  const auto& experiment = planner.experiment();
  const std::string section = "train_" + kind, name = experiment.template_of(kind);
  distributed::Task task;
  task.stage = "train";
  task.name = "train " + (role == "delta" ? "delta " : role + " ") + delta + " to " + kind;
  const Json template_model = kind == "unlearn" ? planner.prepared(name) : planner.model(name);
  task.parameters = {{"kind", kind},
                     {"role", role},
                     {"template", template_model},
                     {"delta", planner.delta(delta, name)},
                     {"training", training_parameters(experiment, section)}};
  auto& training = task.parameters["training"];
  if (const int64_t epochs = experiment.integer("delta." + delta + ".epochs"); epochs > 0) training["epochs"] = epochs;
  if (kind == "unlearn" && experiment.has("delta." + delta + ".loss")) training["loss"] = experiment.text("delta." + delta + ".loss");
  if (role != "delta" && task.parameters["delta"].contains("config"))
    throw BadExperiment({"methods." + kind, "compares with a delta's start, and " + delta + " starts from random weights",
                         "set delta." + experiment.start_of(delta) + ".path or .pretrain = yes"});
  planner.keeps(task, template_model, name);
  Planner::needs(task, task.parameters.at("delta"));
  task.shares = static_cast<int>(experiment.integer(section + ".shares"));
  task.resumable = true;
  return task;
}

// Template once over the data, then output layers of template and delta in every epoch.
void estimate(Planner& planner, distributed::Task& task, double items, double tokens_each) {
  const auto& config = planner.config(planner.experiment().template_of(task.parameters.at("kind")));
  const double output = static_cast<double>(config.vocabulary * config.hidden), tokens = items * tokens_each;
  const double epochs = task.parameters.at("training").at("epochs");
  task.seconds = forward_seconds(parameter_count(config), tokens) + forward_seconds(1.4 * output, tokens * epochs);
  const int64_t states = static_cast<int64_t>(tokens) * config.hidden * computed_bytes(planner.experiment());
  task.bytes = decoding_bytes(planner.experiment(), config, 0) + states;
}

void add(Planner& planner, const std::string& kind, const std::string& role, const std::string& delta) {
  const auto& experiment = planner.experiment();
  auto task = base_task(planner, kind, role, delta);
  auto& data = task.parameters["data"];
  if (kind == "instruct") {
    data = instruction_data(planner, "data.alpaca", experiment.integer("train_instruct.items"));
    estimate(planner, task, instruction_count(data), 250);
  } else {
    data = tofu_split(planner, experiment.integer("train_unlearn.retain_items"));
    estimate(planner, task, 80, 70);
  }
  planner.remember(kind + "." + role, delta, planner.add(std::move(task)));
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  for (const std::string kind : {"instruct", "unlearn"}) {
    const auto methods = experiment.list("methods." + kind);
    const auto asked = [&](const char* method) { return std::ranges::count(methods, method) > 0; };
    const auto deltas = experiment.list("deltas." + kind);
    for (const auto& delta : deltas)
      if (asked("cmc")) add(planner, kind, "delta", delta);
    if (deltas.empty()) continue;  // what CMC is compared with is trained once, with the first delta
    if (asked("proxy_tuning")) add(planner, kind, "expert", deltas.front());
    if (asked("delta_unlearning")) add(planner, kind, "offset", deltas.front());
  }
}

train::TrainData read_data(const Json& p, const text::Tokenizer& tokenizer, const train::TrainSettings& settings,
                           const Workbench& bench) {
  if (p.at("kind") == "unlearn") return unlearning_data(p.at("data"), p.at("training"), settings, tokenizer, bench);
  train::TrainData data;
  data.examples = instruction_examples(p.at("data"), tokenizer, p.at("training").at("max_tokens"), bench);
  return data;
}

// What stands beside the trained model in the fused logits.
std::vector<train::FrozenModel> frozen_models(const Json& p, double alpha, Workbench& bench) {
  std::vector<train::FrozenModel> frozen;
  if (p.at("role") == "expert") return frozen;
  frozen.push_back({bench.model(p.at("template")), bench.hidden_states(p.at("template")), 1.0});
  if (p.at("role") == "offset") frozen.push_back({bench.model(p.at("delta")), bench.hidden_states(p.at("delta")), -alpha});
  return frozen;
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator& group) {
  const auto& p = task.parameters;
  const auto template_model = bench.model(p.at("template"));
  const auto tokenizer = bench.tokenizer(p.at("template"));
  const auto& delta = p.at("delta");
  auto trained = delta.contains("config")
                     ? train::create_delta(delta.at("config"), *template_model, bench.seed(task.key), bench.compute().device)
                     : train::load_delta(bench.folder(delta), *template_model, bench.compute().device);
  const std::string kind = p.at("kind");
  auto settings = training_settings(p.at("training"), kind == "unlearn" ? train::unlearning_settings() : train::instruction_settings());
  settings.seed = bench.seed(task.key);
  settings.checkpoint_every = bench.experiment().integer("train_" + kind + ".checkpoint_steps");
  return run_training({task, std::move(trained), frozen_models(p, settings.alpha, bench), read_data(p, *tokenizer, settings, bench), settings,
                       bench.folder(p.at("template"))}, bench, group);
}

}  // namespace

const Stage train_stage = {"train", plan, run};

}  // namespace cmc::stages
