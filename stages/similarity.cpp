// Similarity of logit shifts (paper, Figure 2 and the appendix table): two models after the same data, and after different data.
#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/data/alpaca_eval.hpp"
#include "pipeline/decode/generate.hpp"
#include "pipeline/fusion/fused_source.hpp"
#include "pipeline/text/prompt_template.hpp"
#include "stages/columns.hpp"
#include "stages/footprint.hpp"
#include "stages/logit_shift.hpp"
#include "stages/model_pairs.hpp"
#include "stages/planner.hpp"
#include "stages/stage.hpp"
#include "stages/steered_target.hpp"
#include "stages/task_progress.hpp"
#include "stages/workbench.hpp"

namespace cmc::stages {
namespace {

Json model_parameters(Planner& planner, const std::string& name, const std::string& method, std::vector<std::string> purposes) {
  Json models = {{"name", name}, {"base", planner.model(name)}};
  for (const auto& purpose : purposes)
    models[purpose] = planner.fine_tuned("adapt." + purpose + "." + method, name, planner.model(name), method == "lora");
  return models;
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  const std::string method = experiment.text("similarity.method");
  for (const auto& pair : model_pairs(experiment)) {
    distributed::Task task;
    task.stage = "similarity";
    task.name = "logit shifts of " + pair.reference + " and " + pair.other;
    task.parameters = {{"target", pair.other},
                       {"method", method},
                       {"reference", model_parameters(planner, pair.reference, method, {"instruct"})},
                       {"other", model_parameters(planner, pair.other, method, {"instruct", "other"})},
                       {"data", planner.file(experiment.path("data.alpaca_eval"))},
                       {"items", experiment.integer("similarity.items")},
                       {"new_tokens", experiment.integer("similarity.new_tokens")},
                       {"top", experiment.integer("similarity.top")}};
    for (const char* side : {"reference", "other"})
      for (const auto& [key, model] : task.parameters.at(side).items())
        if (model.is_object()) Planner::needs(task, model);
    const double tokens = static_cast<double>(experiment.integer("similarity.items") * experiment.integer("similarity.new_tokens"));
    const double parameters = parameter_count(planner.config(pair.reference)) + parameter_count(planner.config(pair.other));
    task.seconds = forward_seconds(4 * parameters, tokens);
    for (const auto& side : {pair.reference, pair.other})  // as it was and tuned
      task.bytes += 2 * decoding_bytes(experiment, planner.config(side), experiment.integer("similarity.new_tokens"));
    planner.add(std::move(task));
  }
}

struct Side {
  ShiftReader base, tuned;
};

Side load(const Json& models, const std::string& purpose, std::shared_ptr<const token_map::TokenMap> map, Workbench& bench) {
  const auto tokenizer = bench.tokenizer(models.at("base"));
  return {{bench.model(models.at("base")), tokenizer, map}, {bench.model(models.at(purpose)), tokenizer, map}};
}

std::vector<std::string> read_questions(const Json& p, const Workbench& bench) {
  const auto set = data::read_alpaca_eval(bench.file(p.at("data")), p.at("items").get<size_t>());
  expect_planned(set.file, set.content_hash, p.at("data"));
  std::vector<std::string> questions;
  for (const auto& item : set.items) questions.push_back(item.instruction);
  return questions;
}

// The tuned reference's greedy answers; a prompt it answers with nothing has no step.
std::vector<ShiftText> texts_of(const Side& reference, const std::vector<std::string>& questions, const Json& p) {
  const text::PromptTemplate open_instruct(text::PromptStyle::open_instruct, {});
  const auto& [model, tokenizer, map] = reference.tuned;
  const auto source = fusion::fused_source({model, tokenizer}, {}, {});
  decode::GenerationSettings settings;
  settings.max_new_tokens = p.at("new_tokens");
  settings.end_tokens = model->config().end_tokens;
  if (tokenizer->special().end >= 0) settings.end_tokens.push_back(tokenizer->special().end);
  std::vector<decode::GenerationRequest> requests;
  for (const auto& question : questions)
    requests.push_back({{fusion::tokens_of<BaseToken>(open_instruct.tokens(question, *tokenizer)), {}, {}}});
  const auto generated = decode::generate(*source, tokenizer, requests, settings);
  std::vector<ShiftText> texts;
  for (size_t i = 0; i < questions.size(); ++i) {
    texts.push_back({questions[i], {}});
    for (const auto token : generated[i].tokens) texts.back().answer.push_back(token.value);
  }
  return texts;
}

// One text: the shifts of all three at the reference's top tokens.
struct Shifts {
  torch::Tensor tokens, reference, same, different;  // [steps, top]
};

Shifts shifts_on(const ShiftText& text, const Side& reference, const Side& same, const Side& different, int64_t top) {
  const text::PromptTemplate plain(text::PromptStyle::plain, {}), open_instruct(text::PromptStyle::open_instruct, {});
  const auto& tokenizer = *reference.base.tokenizer;
  const auto base = step_log_probs(reference.base, tokenizer, plain, text);
  const auto tuned = step_log_probs(reference.tuned, tokenizer, open_instruct, text);
  // Equal vocabularies: the base's most probable tokens; another one: the tuned model's (protocol).
  const auto tokens = std::get<1>((same.base.map ? tuned : base).topk(std::min(top, base.size(1)), 1));
  const auto other_base = at_tokens(step_log_probs(same.base, tokenizer, plain, text), tokens, same.base.map.get());
  const auto other = [&](const ShiftReader& reader) {
    return at_tokens(step_log_probs(reader, tokenizer, open_instruct, text), tokens, reader.map.get()) - other_base;
  };
  return {tokens, at_tokens(tuned, tokens, nullptr) - at_tokens(base, tokens, nullptr), other(same.tuned), other(different.tuned)};
}

struct Columns {
  std::vector<int64_t> item, steps, row_item, row_step;
  std::vector<Likeness> same, different;
  std::vector<torch::Tensor> tokens, shift_reference, shift_same, shift_different;
};

std::vector<double> each(const std::vector<Likeness>& all, double Likeness::*field) {
  std::vector<double> values;
  for (const auto& one : all) values.push_back(one.*field);
  return values;
}

store::Dataset matrix(const std::string& name, const std::vector<torch::Tensor>& parts, About about) {
  const auto all = torch::cat(parts).to(torch::kFloat32).contiguous();
  store::Dataset dataset = column(name, "step", std::vector<float>(all.const_data_ptr<float>(), all.const_data_ptr<float>() + all.numel()),
                                  std::move(about));
  dataset.dimensions = {"step", "top"};
  dataset.shape = {all.size(0), all.size(1)};
  return dataset;
}

void add_likeness(store::Unit& unit, const std::string& data, const std::vector<Likeness>& all) {
  const std::string after = "shifts of both models after " + data + " data";
  unit.datasets.push_back(column("sinkhorn_" + data, "prompt", each(all, &Likeness::sinkhorn),
                                 {"1", "Sinkhorn divergence, " + after, "geomloss, p 2, blur 0.01, points: steps; over the number of tokens"}));
  unit.datasets.push_back(column("sinkhorn_per_step_" + data, "prompt", each(all, &Likeness::sinkhorn_per_step),
                                 {"1", "Sinkhorn divergence per step, " + after, "points: tokens; mean over steps, over the number of tokens"}));
  unit.datasets.push_back(column("pearson_" + data, "prompt", each(all, &Likeness::pearson), {"1", "Pearson correlation, " + after}));
  unit.datasets.push_back(
      column("mean_square_" + data, "prompt", each(all, &Likeness::mean_square), {"nat2", "mean squared difference, " + after}));
}

store::Unit to_unit(Columns columns) {
  store::Unit unit;
  unit.datasets = {column("item", "prompt", std::move(columns.item), {"1", "index of the prompt in the data file"}),
                   column("steps", "prompt", std::move(columns.steps), {"1", "tokens of the reference's answer"}),
                   column("step_item", "step", std::move(columns.row_item), {"1", "prompt of the step"}),
                   column("step_number", "step", std::move(columns.row_step), {"1", "step within the answer, from 0"})};
  add_likeness(unit, "same", columns.same);
  add_likeness(unit, "different", columns.different);
  const std::string about = "log-probability after fine-tuning minus before, at the reference's most probable tokens";
  unit.datasets.push_back(matrix("shift_reference", columns.shift_reference, {"nat", "shift of the reference", about}));
  unit.datasets.push_back(matrix("shift_same", columns.shift_same, {"nat", "shift of the other model after the same data", about}));
  unit.datasets.push_back(
      matrix("shift_different", columns.shift_different, {"nat", "shift of the other model after different data", about}));
  return unit;
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator&) {
  const auto& p = task.parameters;
  const Side reference = load(p.at("reference"), "instruct", nullptr, bench);
  const auto other_tokenizer = bench.tokenizer(p.at("other").at("base"));
  std::shared_ptr<const token_map::TokenMap> map;
  if (!token_map::same_vocabulary(*reference.base.tokenizer, *other_tokenizer))
    map = std::make_shared<token_map::TokenMap>(token_map::make_token_map(*reference.base.tokenizer, *other_tokenizer,
                                                                          token_map::Method::pm_mined, token_map::Compat::corrected));
  const Side same = load(p.at("other"), "instruct", map, bench), different = load(p.at("other"), "other", map, bench);
  const auto texts = texts_of(reference, read_questions(p, bench), p);
  const auto report = log_progress(task.name);
  Columns columns;
  for (size_t i = 0; i < texts.size(); ++i) {
    report(static_cast<int64_t>(i), std::ssize(texts), "");
    const auto steps = std::ssize(texts[i].answer);
    if (steps == 0) continue;
    const auto shifts = shifts_on(texts[i], reference, same, different, p.at("top"));
    columns.item.push_back(static_cast<int64_t>(i));
    columns.steps.push_back(steps);
    for (int64_t step = 0; step < steps; ++step) columns.row_item.push_back(static_cast<int64_t>(i)), columns.row_step.push_back(step);
    columns.same.push_back(likeness(shifts.reference, shifts.same));
    columns.different.push_back(likeness(shifts.reference, shifts.different));
    columns.shift_reference.push_back(shifts.reference);
    columns.shift_same.push_back(shifts.same);
    columns.shift_different.push_back(shifts.different);
  }
  if (columns.item.empty())
    throw BadData({task.name, "the tuned reference answers every prompt with nothing", "train it longer, or give other prompts"});
  return to_unit(std::move(columns));
}

}  // namespace

const Stage similarity_stage = {"similarity", plan, run};

}  // namespace cmc::stages
