// The delta models: trained beside the frozen template, for instructions and for unlearning (paper, section 3).
#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/train/delta.hpp"
#include "stages/all_stages.hpp"
#include "stages/planning/footprint.hpp"
#include "stages/planning/held_out.hpp"
#include "stages/planning/planned_compute.hpp"
#include "stages/planning/planner.hpp"
#include "stages/workbench/instruction_data.hpp"
#include "stages/workbench/tofu_data.hpp"
#include "stages/workbench/training.hpp"

namespace cmc::stages {
namespace {

using records::Purpose, records::Role, records::TrainParameters;

const sections::Training& section_of(const Experiment& experiment, Purpose kind) {
  if (kind == Purpose::unlearn) return experiment.train_unlearn;
  return experiment.train_instruct;
}

// "": the section's.
std::string loss_of(Purpose kind, Role role, const sections::Delta& delta) {
  if (role == Role::assistant) return std::string(name_of(train::Objective::remember_uniform));
  return kind == Purpose::unlearn ? delta.loss : "";
}

TrainParameters parameters_of(Planner& planner, Purpose kind, Role role, const std::string& delta) {
  const auto& experiment = planner.experiment();
  const std::string& name = experiment.template_of(kind);
  const auto& own = experiment.delta.at(delta);
  TrainParameters p{kind,
                    role,
                    delta,
                    kind == Purpose::unlearn ? planner.prepared(name) : planner.model(name),
                    planner.delta(delta, name),
                    training_parameters(section_of(experiment, kind), experiment.seed(), loss_of(kind, role, own)),
                    {},
                    {}};
  if (own.epochs > 0) p.training.epochs = own.epochs;
  if ((role == Role::expert || role == Role::offset) && p.delta.is_random())
    experiment.fail("methods." + std::string(name_of(kind)),
                    "compares with a delta's start, and " + delta + " starts from random weights",
                    "set delta." + experiment.start_of(delta) + ".path or .pretrain = yes");
  if (kind == Purpose::instruct) {
    p.data.instructions = instruction_data(planner, experiment.data.alpaca, experiment.train_instruct.items);
    p.data.instructions->answers_of_others = own.answers_of_others;
  } else {
    p.data.tofu = tofu_split(planner, experiment.train_unlearn.retain_items);
  }
  return p;
}

// Template once over the data, then output layers of template and delta in every epoch.
void estimate(Planner& planner, distributed::Task& task, const TrainParameters& p) {
  const auto& config = planner.config(planner.experiment().template_of(p.kind));
  const double tokens = p.data.tofu ? 80.0 * 70 : 250.0 * static_cast<double>(p.data.instructions->items);
  const double output = static_cast<double>(config.vocabulary * config.hidden);
  task.seconds = forward_seconds(footprint_of(config).weights(), tokens) +
                 forward_seconds(1.4 * output, tokens * static_cast<double>(p.training.epochs));
  // Kept states take what is free.
  planner.takes(task, planner.experiment().template_of(p.kind), decoding_bytes(planner.experiment(), config, 0));
}

// Methods that add what was trained in one role share the training.
std::string remembered_as(Purpose kind, Role role) {
  return std::string(name_of(kind)) + "." + std::string(name_of(role));
}

void add(Planner& planner, Purpose kind, Role role, const std::string& delta) {
  const auto& experiment = planner.experiment();
  const std::string shown(name_of(kind)), as(name_of(role));
  const auto p = parameters_of(planner, kind, role, delta);
  expect_trained_part(planner, "train_" + shown, section_of(experiment, kind).held_out, p.data);
  distributed::Task task;
  task.name = "train " + (role == Role::delta ? "delta " : as + " ") + delta + " to " + shown;
  const std::string& beside = experiment.template_of(kind);
  planner.hold_together(task, beside);
  planner.keeps(task, p.template_model, beside);
  planner.deal_shares(task, section_of(experiment, kind).shares, beside);
  Planner::needs(task, p.delta);
  task.resumable = true;
  estimate(planner, task, p);
  planner.remember(remembered_as(kind, role), delta, planner.add(std::move(task), p));
}

void add_once(Planner& planner, Purpose kind, Role role, const std::string& delta) {
  if (planner.find(remembered_as(kind, role), delta).empty()) add(planner, kind, role, delta);
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  for (const Purpose kind : {Purpose::instruct, Purpose::unlearn}) {
    const auto& deltas = experiment.deltas_of(kind);
    if (deltas.empty()) continue;
    const auto& methods = experiment.methods_of(kind);
    // What the paper's is compared with is trained once, with the first delta.
    for (const auto& traits : records::method_traits) {
      if (!traits.adds_delta || !std::ranges::count(methods, traits.method)) continue;
      for (const auto& delta : traits.every_delta ? deltas : std::vector{deltas.front()})
        add_once(planner, kind, traits.role, delta);
      const Purpose other = records::other_than(kind);
      if (traits.adds_other) add_once(planner, other, traits.role, experiment.deltas_of(other).front());
    }
  }
}

train::TrainData read_data(const TrainParameters& p, const text::Tokenizer& tokenizer,
                           const train::TrainSettings& settings, const Workbench& bench) {
  if (p.data.tofu) return unlearning_data(*p.data.tofu, p.training.max_tokens, settings, tokenizer, bench);
  train::TrainData data;
  data.examples = instruction_examples(*p.data.instructions, tokenizer, p.training.max_tokens, bench,
                                       p.training.held_out_items.value_or(0));
  return data;
}

// What stands beside the trained model in the fused logits.
std::vector<train::FrozenModel> frozen_models(const TrainParameters& p, double alpha, Workbench& bench) {
  std::vector<train::FrozenModel> frozen;
  if (p.role == Role::expert || p.role == Role::assistant) return frozen;
  const auto add = [&](const records::ModelReference& reference, auto model, double coefficient) {
    frozen.push_back({model, bench.hidden_states(reference, model), coefficient});
  };
  add(p.template_model, bench.target(p.template_model), 1.0);
  if (p.role == Role::offset) add(p.delta, bench.model(p.delta), -alpha);
  return frozen;
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator& group) {
  const auto p = records::from_json<TrainParameters>(task.parameters, task.name);
  const auto template_model = bench.target(p.template_model);
  const auto tokenizer = bench.tokenizer(p.template_model);
  const auto* random = std::get_if<records::RandomModel>(&p.delta.origin);
  auto trained =
      random ? train::create_delta(records::to_json(random->config), *template_model, task.seed, bench.compute().device)
             : train::load_delta(bench.folder(p.delta), *template_model, bench.compute().device);
  auto settings =
      training_settings(p.training, p.data.tofu ? train::unlearning_settings() : train::instruction_settings());
  settings.seed = task.seed;
  settings.checkpoint_every = section_of(bench.experiment(), p.kind).checkpoint_steps;
  return run_training(
      {task, std::move(trained), frozen_models(p, settings.alpha, bench), read_data(p, *tokenizer, settings, bench),
       settings, bench.folder(p.template_model), p.training.held_out_items.value_or(0)},
      bench, group);
}

}  // namespace

const Stage train_stage = {"train", 1, Stage::Runs::models, plan, run};

}  // namespace cmc::stages
