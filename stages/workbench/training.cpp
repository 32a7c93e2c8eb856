#include "stages/workbench/training.hpp"

#include "pipeline/core/log.hpp"
#include "pipeline/model/lora.hpp"
#include "pipeline/model/sum_order.hpp"
#include "pipeline/records/rows.hpp"
#include "pipeline/train/checkpoint.hpp"
#include "pipeline/train/delta.hpp"
#include "pipeline/train/held_out.hpp"
#include "stages/planning/footprint.hpp"

namespace cmc::stages {
namespace {

template <class Value>
std::optional<Value> unless_usual(Value value, Value usual) {
  return value == usual ? std::nullopt : std::optional(value);
}

// What the section leaves open (0) is as the loss was published.
void say_forgetting(records::TrainingParameters& p, const sections::Training& section) {
  const train::ForgetSettings usual, published = train::published_settings(train::objective(*p.loss));
  const auto chosen = [](const std::optional<double>& given, double otherwise) {
    return given.value_or(0) > 0 ? *given : otherwise;
  };
  p.beta = chosen(section.beta, published.beta);
  p.forget_bound = section.forget_bound;
  p.beta2 = unless_usual(chosen(section.beta2, published.beta2), usual.beta2);
  p.forget_weight = unless_usual(chosen(section.forget_weight, published.weight), usual.weight);
  p.margin = unless_usual(section.margin.value_or(usual.margin), usual.margin);
  p.skipped_labels = unless_usual(section.skipped_labels.value_or(usual.skipped), usual.skipped);
}

}  // namespace

records::TrainingParameters training_parameters(const sections::Training& section, int64_t seed,
                                                const std::string& loss) {
  records::TrainingParameters p;
  p.epochs = section.epochs;
  p.learning_rate = section.learning_rate;
  p.batch = section.batch;
  p.accumulation = section.accumulation;
  p.weight_decay = section.weight_decay;
  p.max_tokens = section.max_tokens;
  p.shares = section.shares;
  p.seed = seed;
  p.schedule = section.schedule;
  p.loss = loss.empty() ? section.loss : loss;
  p.warmup = section.warmup, p.warmup_steps = section.warmup_steps;
  if (p.loss) say_forgetting(p, section);
  p.held_out_items = unless_usual<int64_t>(section.held_out.items, 0);
  p.evaluation_steps = unless_usual<int64_t>(section.held_out.evaluation_steps, 0);
  p.keep = unless_usual<std::string>(section.held_out.keep, std::string(name_of(train::KeptWeights::last)));
  return p;
}

records::TrainingParameters with_lora(records::TrainingParameters training, const sections::Lora& lora) {
  training.learning_rate = lora.learning_rate;
  training.lora = {lora.rank, lora.alpha, lora.dropout, lora.modules};
  return training;
}

model::DecoderModel trained_part(const distributed::Task& task, const records::ModelReference& reference,
                                 const records::TrainingParameters& training, Workbench& bench) {
  const bool splits = distributed::group_ranks(task) > 1;
  const torch::Dtype dtype = training.lora ? bench.compute().dtype : torch::kFloat32;
  const auto base = splits ? bench.load_split(reference, dtype) : bench.load(reference, dtype);
  if (!training.lora) return base;
  const auto& lora = *training.lora;
  return base.with_adapters({.rank = lora.rank, .alpha = lora.alpha, .dropout = lora.dropout, .targets = lora.modules},
                            task.seed);
}

train::TrainSettings training_settings(const records::TrainingParameters& p, train::TrainSettings settings) {
  settings.epochs = p.epochs;
  settings.learning_rate = p.learning_rate;
  settings.batch = p.batch;
  settings.accumulation = p.accumulation;
  settings.adamw.weight_decay = p.weight_decay;
  settings.shares = p.shares;
  if (p.schedule) settings.schedule = train::schedule_shape(*p.schedule);
  if (p.loss) settings.objective = train::objective(*p.loss);
  if (p.warmup) settings.warmup = {.ratio = *p.warmup, .steps = p.warmup_steps.value_or(0)};
  settings.evaluate_every = p.evaluation_steps.value_or(0);
  if (p.keep) settings.keep = train::kept_weights(*p.keep);
  train::ForgetSettings& forget = settings.forget = {};
  forget.weight = p.forget_weight.value_or(forget.weight);
  forget.beta = p.beta.value_or(forget.beta);
  forget.beta2 = p.beta2.value_or(forget.beta2);
  forget.margin = p.margin.value_or(forget.margin);
  forget.bound = p.forget_bound.value_or(forget.bound);
  forget.skipped = p.skipped_labels.value_or(forget.skipped);
  return settings;
}

namespace {

void add_steps(store::Unit& unit, const std::vector<train::StepReport>& reports, train::Objective objective) {
  const bool refusals = train::parts_of(objective).refusals;
  std::vector<records::StepRow> rows;
  for (const auto& report : reports) {
    auto& row = rows.emplace_back(records::StepRow{report.loss,
                                                   report.examples_loss,
                                                   report.retain_loss,
                                                   report.learning_rate,
                                                   report.gradient_norm,
                                                   report.seconds,
                                                   static_cast<double>(report.tokens),
                                                   {}});
    if (refusals) row.refusals_loss = report.refusals_loss;
  }
  records::write_rows(unit, rows);
}

void add_evaluations(store::Unit& unit, const std::vector<train::HeldOutLoss>& losses, train::Objective objective) {
  if (losses.empty()) return;
  const bool refusals = train::parts_of(objective).refusals;
  const auto best = train::best_of(losses);
  std::vector<records::HeldOutRow> rows;
  for (const auto& each : losses) {
    auto& row = rows.emplace_back(
        records::HeldOutRow{each.step, each.loss, each.examples_loss, each.retain_loss, rows.size() == best, {}});
    if (refusals) row.refusals_loss = each.refusals_loss;
  }
  records::write_rows(unit, rows);
}

double tokens_of(const train::TrainData& data) {
  double tokens = 0;
  for (const auto* examples : {&data.examples, &data.retain, &data.refusals})
    for (const auto& example : *examples) tokens += static_cast<double>(example.tokens.size());
  return tokens;
}

// Tokens the trained model learned from, and operations: 6 × parameters × tokens where gradients reach all of them (2
// forward, 4 back), 4 × for frozen weights below adapters, 2 × for each evaluation, and 2 × for a frozen model that
// reads each example once.
void add_cost(store::Unit& unit, const train::History& history, const TrainingRun& run,
              const train::TrainData& held_out) {
  int64_t tokens = 0;
  for (const auto& report : history.steps) tokens += report.tokens;
  const double evaluated = tokens_of(held_out), once = tokens_of(run.data) + evaluated;
  double flops =
      footprint_of(run.trained.config()).weights() * ((run.trained.adapters() ? 4 : 6) * static_cast<double>(tokens) +
                                                      2 * static_cast<double>(history.held_out.size()) * evaluated);
  for (const auto& model : run.frozen) flops += 2 * footprint_of(model.model->config()).weights() * once;
  unit.cost.tokens = tokens;
  unit.cost.flops = flops;
}

}  // namespace

store::Unit run_training(TrainingRun run, Workbench& bench, const distributed::Communicator& group) {
  run.settings.deterministic = bench.compute().deterministic;
  run.settings.reference_states.pass_tokens = bench.frozen_pass_tokens();
  if (const int halvings = bench.halvings(); halvings > 0) {  // memory has run out before
    run.settings.loss_memory_bytes >>= halvings;
    run.settings.pass_tokens = 0;
    run.settings.reference_states.device_bytes = 0;
    run.settings.recompute_layers = true;
  }
  const bool splits = distributed::group_ranks(run.task) > 1;  // the ranks hold a model together
  const auto finished = bench.trained_folder(run.task.key), unfinished = bench.training_folder(run.task.key);
  if (const int64_t step = train::newest_checkpoint(unfinished); step >= 0 && group.rank() == 0)
    log_info(run.task.name, " goes on behind step ", step);
  const auto progress = log_progress(run.task.name);
  const auto report = [&](const train::StepReport& step) {
    progress(step.step, step.total, " steps, loss " + std::to_string(step.loss));
  };
  const auto evaluated = [&](const train::HeldOutLoss& loss) {
    log_info(run.task.name, ": held-out loss ", loss.loss, " after step ", loss.step);
  };
  const auto stop = [&bench, same_on_any_cores = model::sums_in_one_order(run.trained.config())] {
    if (same_on_any_cores) bench.take_cores();
    return bench.stop()();
  };
  const train::TrainData held_out = train::hold_out(run.data, run.held_out_items);
  const auto history = train::train({.trained = run.trained,
                                     .frozen = run.frozen,
                                     .data = run.data,
                                     .held_out = &held_out,
                                     .settings = run.settings,
                                     .group = splits ? bench.data_ranks() : group,
                                     .checkpoints = unfinished,
                                     .identity = run.task.key,
                                     .report = report,
                                     .evaluated = evaluated,
                                     .stop = stop});
  store::Unit unit;
  const bool gathers = run.trained.group().is_split() && bench.data_ranks().rank() == 0;
  if (gathers || group.rank() == 0) train::save_model(run.trained, run.tokenizer_folder, finished);
  if (group.rank() == 0) {
    std::error_code ignored;  // left-over checkpoints only cost space
    std::filesystem::remove_all(unfinished, ignored);
  }
  add_steps(unit, history.steps, run.settings.objective);
  add_evaluations(unit, history.held_out, run.settings.objective);
  add_cost(unit, history, run, held_out);
  return unit;
}

}  // namespace cmc::stages
