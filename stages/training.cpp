#include "stages/training.hpp"

#include "pipeline/core/log.hpp"
#include "pipeline/model/lora.hpp"
#include "pipeline/train/checkpoint.hpp"
#include "pipeline/train/delta.hpp"
#include "stages/columns.hpp"
#include "stages/planner.hpp"
#include "stages/task_progress.hpp"

namespace cmc::stages {

Json training_parameters(const Experiment& experiment, const std::string& section) {
  const auto key = [&](const char* name) { return section + "." + name; };
  Json p = {{"epochs", experiment.integer(key("epochs"))},
            {"learning_rate", experiment.number(key("learning_rate"))},
            {"batch", experiment.integer(key("batch"))},
            {"accumulation", experiment.integer(key("accumulation"))},
            {"weight_decay", experiment.number(key("weight_decay"))},
            {"max_tokens", experiment.integer(key("max_tokens"))},
            {"shares", experiment.integer(key("shares"))},
            {"seed", experiment.integer("experiment.seed")}};
  for (const char* optional : {"schedule", "loss"})
    if (experiment.knows(key(optional))) p[optional] = experiment.text(key(optional));
  for (const char* optional : {"warmup", "beta", "forget_bound"})
    if (experiment.knows(key(optional))) p[optional] = experiment.number(key(optional));
  if (experiment.knows(key("warmup_steps"))) p["warmup_steps"] = experiment.integer(key("warmup_steps"));
  return p;
}

Json with_lora(Json training, const Experiment& experiment, const std::string& section) {
  training["learning_rate"] = experiment.number(section + ".lora_learning_rate");
  training["lora"] = {{"rank", experiment.integer(section + ".lora_rank")},
                      {"alpha", experiment.number(section + ".lora_alpha")},
                      {"dropout", experiment.number(section + ".lora_dropout")},
                      {"modules", experiment.list(section + ".lora_modules")}};
  return training;
}

model::DecoderModel trained_part(const Json& reference, const Json& training, uint64_t seed, const Workbench& bench) {
  if (!training.contains("lora")) return bench.load(reference, torch::kFloat32);
  const auto& lora = training.at("lora");
  return bench.load(reference, bench.compute().dtype)
      .with_adapters({.rank = lora.at("rank"), .alpha = lora.at("alpha"), .dropout = lora.at("dropout"),
                      .targets = lora.at("modules").get<std::vector<std::string>>()}, seed);
}

train::TrainSettings training_settings(const Json& p, train::TrainSettings settings) {
  settings.epochs = p.at("epochs");
  settings.learning_rate = p.at("learning_rate");
  settings.batch = p.at("batch");
  settings.accumulation = p.at("accumulation");
  settings.adamw.weight_decay = p.at("weight_decay");
  settings.shares = p.at("shares");
  if (p.contains("schedule")) settings.schedule = train::schedule_shape(p.at("schedule").get<std::string>());
  if (p.contains("loss")) settings.objective = train::objective(p.at("loss").get<std::string>());
  if (p.contains("warmup")) settings.warmup = {.ratio = p.at("warmup"), .steps = p.value("warmup_steps", int64_t{0})};
  settings.preference_beta = p.value("beta", settings.preference_beta);
  settings.forget_bound = p.value("forget_bound", settings.forget_bound);
  return settings;
}

namespace {

void add_steps(store::Unit& unit, const std::vector<train::StepReport>& reports, train::Objective objective) {
  const auto each = [&](auto member) {
    std::vector<double> values;
    for (const auto& report : reports) values.push_back(static_cast<double>(report.*member));
    return values;
  };
  using Report = train::StepReport;
  unit.datasets = {
      column("loss", "step", each(&Report::loss), {"nat", "minimised loss"}),
      column("examples_loss", "step", each(&Report::examples_loss), {"nat", "mean cross-entropy of the examples (forget set)"}),
      column("retain_loss", "step", each(&Report::retain_loss), {"nat", "mean cross-entropy of the retained examples"}),
      column("learning_rate", "step", each(&Report::learning_rate), {"1", "learning rate"}),
      column("gradient_norm", "step", each(&Report::gradient_norm), {"1", "global L2 norm before clipping"}),
      column("step_seconds", "step", each(&Report::seconds), {"s", "wall time of the step"}),
      column("step_tokens", "step", each(&Report::tokens), {"token", "tokens read by the trained model"})};
  if (train::parts_of(objective).refusals)
    unit.datasets.push_back(column("refusals_loss", "step", each(&Report::refusals_loss), {"nat", "mean cross-entropy of the refusals"}));
}

// Tokens the trained model read, and operations: 6 × parameters × tokens where gradients reach all of them (2 forward, 4 back),
// 4 × for frozen weights below adapters, and 2 × for a frozen model that reads each example once.
void add_cost(store::Unit& unit, const std::vector<train::StepReport>& reports, const model::DecoderModel& trained,
              const std::vector<train::FrozenModel>& frozen, const train::TrainData& data) {
  double tokens = 0, once = 0;
  for (const auto& report : reports) tokens += static_cast<double>(report.tokens);
  for (const auto* examples : {&data.examples, &data.retain, &data.refusals})
    for (const auto& example : *examples) once += static_cast<double>(example.tokens.size());
  double flops = (trained.adapters() ? 4 : 6) * parameter_count(trained.config()) * tokens;
  for (const auto& model : frozen) flops += 2 * parameter_count(model.model->config()) * once;
  unit.cost["tokens"] = tokens;
  unit.cost["flops"] = flops;
}

}  // namespace

store::Unit run_training(TrainingRun run, Workbench& bench, const distributed::Communicator& group) {
  run.settings.deterministic = bench.is_deterministic();
  run.settings.reference_states.pass_tokens = bench.frozen_pass_tokens();
  if (const int halvings = bench.halvings(); halvings > 0) {  // memory has run out before
    run.settings.loss_memory_bytes >>= halvings;
    run.settings.pass_tokens = 0;
    run.settings.reference_states.device_bytes = 0;
    run.settings.recompute_layers = true;
  }
  const auto finished = bench.trained_folder(run.task.key), unfinished = bench.training_folder(run.task.key);
  if (const int64_t step = train::newest_checkpoint(unfinished); step >= 0 && group.rank() == 0)
    log_info(run.task.name, " goes on behind step ", step);
  const auto progress = log_progress(run.task.name);
  const auto report = [&](const train::StepReport& step) { progress(step.step, step.total, " steps, loss " + std::to_string(step.loss)); };
  const auto reports = train::train({.trained = run.trained,
                                     .frozen = run.frozen,
                                     .data = run.data,
                                     .settings = run.settings,
                                     .group = group,
                                     .checkpoints = unfinished,
                                     .identity = run.task.key,
                                     .report = report,
                                     .stop = bench.stop()});
  store::Unit unit;
  if (group.rank() == 0) {
    train::save_model(run.trained, run.tokenizer_folder, finished);
    std::error_code ignored;  // left-over checkpoints only cost space
    std::filesystem::remove_all(unfinished, ignored);
  }
  add_steps(unit, reports, run.settings.objective);
  add_cost(unit, reports, run.trained, run.frozen, run.data);
  return unit;
}

}  // namespace cmc::stages
