// Fine-tuning of each target itself: what a delta trained once is compared with (paper, Tables 1 and 2), and the tuned
// models of the similarity stage.
#include <algorithm>

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

using records::AdaptParameters, records::AdaptPurpose, records::Method;

const sections::Training& section_of(const Experiment& experiment, AdaptPurpose purpose) {
  if (purpose == AdaptPurpose::unlearn) return experiment.adapt_unlearn;
  return experiment.adapt_instruct;
}

std::string section_name(AdaptPurpose purpose) {
  return purpose == AdaptPurpose::unlearn ? "adapt_unlearn" : "adapt_instruct";
}

const sections::Lora& lora_of(const Experiment& experiment, AdaptPurpose purpose) {
  return purpose == AdaptPurpose::unlearn ? experiment.adapt_unlearn.lora : experiment.adapt_instruct.lora;
}

records::TrainingParameters training_of(const Experiment& experiment, AdaptPurpose purpose, Method method) {
  auto training = training_parameters(section_of(experiment, purpose), experiment.seed());
  if (purpose == AdaptPurpose::other) training.epochs = experiment.similarity.other_epochs;
  return method == Method::lora ? with_lora(std::move(training), lora_of(experiment, purpose)) : training;
}

records::TrainingData data_of(Planner& planner, AdaptPurpose purpose) {
  const auto& experiment = planner.experiment();
  if (purpose == AdaptPurpose::unlearn) return {tofu_split(planner, experiment.train_unlearn.retain_items), {}};
  if (purpose == AdaptPurpose::other)
    return {{}, instruction_data(planner, experiment.data.other, experiment.similarity.other_items)};
  return {{}, instruction_data(planner, experiment.data.alpaca, experiment.train_instruct.items)};
}

void add(Planner& planner, const std::string& target, Method method, AdaptPurpose purpose) {
  const auto& experiment = planner.experiment();
  const std::string shown(name_of(purpose)), name = shown + "." + std::string(name_of(method));
  if (!planner.find("adapt." + name, target).empty()) return;
  distributed::Task task;
  task.name = (method == Method::lora ? "LoRA of " : "fine-tune ") + target + ", " + shown;
  AdaptParameters p{target,
                    method,
                    purpose,
                    purpose == AdaptPurpose::unlearn ? planner.prepared(target) : planner.model(target),
                    training_of(experiment, purpose, method),
                    data_of(planner, purpose),
                    {}};
  if (method == Method::lora)
    planner.expect_linear_layers(section_name(purpose) + ".lora_modules", lora_of(experiment, purpose).modules, target);
  const auto& held_out = section_of(experiment, purpose).held_out;
  expect_trained_part(planner, section_name(purpose), held_out, p.data);
  Planner::needs(task, p.model);
  const double parameters = footprint_of(planner.config(target)).weights();
  const double tokens = p.data.tofu ? 160 * 70 : 250.0 * static_cast<double>(p.data.instructions->items);
  task.seconds = 3 * forward_seconds(parameters, tokens * static_cast<double>(p.training.epochs));
  planner.deal_shares(task, section_of(experiment, purpose).shares, target);
  planner.takes(task, target, training_bytes(experiment, planner.config(target), p.training), Held::trained);
  task.resumable = true;
  planner.remember("adapt." + name, target, planner.add(std::move(task), p));
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  using records::Purpose;
  for (const auto& [purpose, of] :
       {std::pair{AdaptPurpose::instruct, Purpose::instruct}, {AdaptPurpose::unlearn, Purpose::unlearn}})
    for (const auto& target : experiment.targets_of(of))
      for (const Method method : experiment.methods_of(of))
        if (records::traits_of(method).trains_target) add(planner, target, method, purpose);
  for (const auto& pair : experiment.similarity.pairs)
    for (const auto& model : {pair.reference, pair.other})
      for (const auto purpose : {AdaptPurpose::instruct, AdaptPurpose::other})
        add(planner, model, experiment.similarity.method, purpose);
}

train::TrainData read_data(const AdaptParameters& p, const text::Tokenizer& tokenizer,
                           const train::TrainSettings& settings, const Workbench& bench) {
  if (p.data.tofu) return unlearning_data(*p.data.tofu, p.training.max_tokens, settings, tokenizer, bench);
  train::TrainData data;
  data.examples = instruction_examples(*p.data.instructions, tokenizer, p.training.max_tokens, bench);
  return data;
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator& group) {
  const auto p = records::from_json<AdaptParameters>(task.parameters, task.name);
  const auto tokenizer = bench.tokenizer(p.model);
  const bool unlearn = p.purpose == AdaptPurpose::unlearn;
  auto settings = training_settings(p.training, unlearn ? train::unlearning_settings() : train::instruction_settings());
  settings.seed = task.seed;
  settings.checkpoint_every = section_of(bench.experiment(), p.purpose).checkpoint_steps;
  auto trained = trained_part(task, p.model, p.training, bench);
  return run_training({task,
                       std::move(trained),
                       {},
                       read_data(p, *tokenizer, settings, bench),
                       settings,
                       bench.folder(p.model),
                       p.training.held_out_items.value_or(0)},
                      bench, group);
}

}  // namespace

const Stage adapt_stage = {"adapt", 1, Stage::Runs::models, plan, run};

}  // namespace cmc::stages
