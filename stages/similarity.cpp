// Similarity of logit shifts (paper, Figure 2 and the appendix table): two models after the same data, and after
// different data.
#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/data/alpaca_eval.hpp"
#include "pipeline/decode/generate.hpp"
#include "pipeline/fusion/fused_source.hpp"
#include "pipeline/records/evaluation_parameters.hpp"
#include "pipeline/records/rows.hpp"
#include "pipeline/similarity/logit_shift.hpp"
#include "stages/all_stages.hpp"
#include "stages/planning/footprint.hpp"
#include "stages/planning/planned_compute.hpp"
#include "stages/planning/planner.hpp"
#include "stages/workbench/task_progress.hpp"
#include "stages/workbench/workbench.hpp"

namespace cmc::stages {
namespace {

using similarity::at_tokens, similarity::Likeness, similarity::likeness, similarity::ShiftReader, similarity::ShiftText,
    similarity::step_log_probs;

using records::ShiftRow, records::ShiftStepRow, records::SimilarityParameters, records::TunedModel;

records::ModelReference tuned_on(Planner& planner, const std::string& name, records::Method method,
                                 records::AdaptPurpose purpose) {
  const std::string made = "adapt." + std::string(name_of(purpose)) + "." + std::string(name_of(method));
  return planner.fine_tuned(made, name, planner.model(name), method == records::Method::lora);
}

// The ranks that hold the models of a pair are those of the larger group, over which the other is split, too, where it
// is split at all.
void hold_pair(Planner& planner, distributed::Task& task, const ModelPair& pair) {
  const auto reference = planner.split(pair.reference), other = planner.split(pair.other);
  const auto larger = other.ranks() > reference.ranks() ? other : reference;
  for (const auto& [name, own] : {std::pair(pair.reference, reference), std::pair(pair.other, other)}) {
    const auto& config = planner.config(name);
    if (own.ranks() == 1 || (config.heads % larger.tensor_parallel == 0 && config.layers >= larger.pipeline_parallel))
      continue;
    planner.experiment().fail("model." + name + ".tensor_parallel",
                              "is " + std::to_string(own.tensor_parallel) +
                                  ", and similarity.pairs compares it with a model over " +
                                  std::to_string(larger.ranks()) + " ranks, which its " + std::to_string(config.heads) +
                                  " attention heads cannot be dealt to",
                              "give both models of a pair one number of ranks");
  }
  task.tensor_parallel = larger.tensor_parallel;
  task.pipeline_parallel = larger.pipeline_parallel;
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  const auto& settings = experiment.similarity;
  const auto method = settings.method;
  const auto tuned = [&](const std::string& name, records::AdaptPurpose purpose) {
    return tuned_on(planner, name, method, purpose);
  };
  for (const auto& pair : experiment.similarity.pairs) {
    using enum records::AdaptPurpose;
    const SimilarityParameters p{
        pair.other,
        method,
        {pair.reference, planner.model(pair.reference), tuned(pair.reference, instruct), {}},
        {pair.other, planner.model(pair.other), tuned(pair.other, instruct), tuned(pair.other, other)},
        prompt_of_style(text::PromptStyle::plain),
        prompt_of_style(text::PromptStyle::open_instruct),
        planner.file(experiment.given(experiment.data.alpaca_eval)),
        settings.items,
        settings.new_tokens,
        settings.top,
        {}};
    distributed::Task task;
    task.name = "logit shifts of " + pair.reference + " and " + pair.other;
    for (const auto* model :
         {&p.reference.base, &p.reference.instruct, &p.other.base, &p.other.instruct, &*p.other.other})
      Planner::needs(task, *model);
    const double parameters =
        footprint_of(planner.config(pair.reference)).weights() + footprint_of(planner.config(pair.other)).weights();
    task.seconds = forward_seconds(4 * parameters, static_cast<double>(p.items * p.new_tokens));
    hold_pair(planner, task, pair);
    // As they were and tuned, the other one on two sets of data.
    for (const auto& [side, models] : {std::pair(pair.reference, 2), std::pair(pair.other, 3)})
      planner.takes(task, side, decoding_bytes(experiment, planner.config(side), p.new_tokens).times(models));
    planner.add(std::move(task), p);
  }
}

struct Side {
  ShiftReader base, tuned;
};

Side load(const TunedModel& models, const records::ModelReference& tuned,
          std::shared_ptr<const token_map::TokenMap> map, Workbench& bench) {
  const auto tokenizer = bench.tokenizer(models.base);
  // One that fits a device is whole on each rank of the group.
  const auto& settings = bench.experiment().model.at(models.base.name);
  const bool is_split = settings.tensor_parallel * settings.pipeline_parallel > 1;
  const auto loaded = [&](const records::ModelReference& model) {
    return is_split ? bench.target(model) : bench.model(model);
  };
  return {{loaded(models.base), tokenizer, map}, {loaded(tuned), tokenizer, map}};
}

std::vector<std::string> read_questions(const SimilarityParameters& p, const Workbench& bench) {
  const auto set = data::read_alpaca_eval(bench.file(p.data), static_cast<size_t>(p.items));
  expect_planned(set.file, set.content_hash, p.data);
  std::vector<std::string> questions;
  for (const auto& item : set.items) questions.push_back(item.instruction);
  return questions;
}

// The tuned reference's greedy answers; a prompt it answers with nothing has no step.
std::vector<ShiftText> texts_of(const Side& reference, const text::PromptTemplate& prompt,
                                const std::vector<std::string>& questions, int64_t new_tokens) {
  const auto& [model, tokenizer, map] = reference.tuned;
  const auto source = fusion::fused_source({model, tokenizer}, {}, {});
  decode::GenerationSettings settings;
  settings.max_new_tokens = new_tokens;
  settings.end_tokens = model->config().end_tokens;
  if (tokenizer->special().end >= 0) settings.end_tokens.push_back(tokenizer->special().end);
  std::vector<decode::GenerationRequest> requests;
  for (const auto& question : questions)
    requests.push_back({{fusion::tokens_of<BaseToken>(prompt.tokens(question, *tokenizer)), {}, {}}});
  const auto generated = decode::generate(*source, tokenizer, requests, settings);
  std::vector<ShiftText> texts;
  for (size_t i = 0; i < questions.size(); ++i) {
    texts.push_back({questions[i], {}});
    for (const auto token : generated[i].tokens) texts.back().answer.push_back(token.value);
  }
  return texts;
}

// How the models are asked, as they were and tuned.
struct Asked {
  text::PromptTemplate base, tuned;
};

// One text: the shifts of all three at the reference's top tokens.
struct Shifts {
  torch::Tensor tokens, reference, same, different;  // [steps, top]
};

Shifts shifts_on(const ShiftText& text, const Asked& asked, const Side& reference, const Side& same,
                 const Side& different, int64_t top) {
  const auto& tokenizer = *reference.base.tokenizer;
  const auto base = step_log_probs(reference.base, tokenizer, asked.base, text);
  const auto tuned = step_log_probs(reference.tuned, tokenizer, asked.tuned, text);
  // Equal vocabularies: the base's most probable tokens; another one: the tuned model's (protocol).
  const auto tokens = std::get<1>((same.base.map ? tuned : base).topk(std::min(top, base.size(1)), 1));
  const auto other_base =
      at_tokens(step_log_probs(same.base, tokenizer, asked.base, text), tokens, same.base.map.get());
  const auto other = [&](const ShiftReader& reader) {
    return at_tokens(step_log_probs(reader, tokenizer, asked.tuned, text), tokens, reader.map.get()) - other_base;
  };
  return {tokens, at_tokens(tuned, tokens, nullptr) - at_tokens(base, tokens, nullptr), other(same.tuned),
          other(different.tuned)};
}

std::vector<float> values_of(const torch::Tensor& row) {
  const auto values = row.to(torch::kFloat32).contiguous();
  return {values.const_data_ptr<float>(), values.const_data_ptr<float>() + values.numel()};
}

ShiftRow row_of(int64_t item, int64_t steps, const Likeness& same, const Likeness& different) {
  return {item,
          steps,
          same.sinkhorn,
          different.sinkhorn,
          same.sinkhorn_per_step,
          different.sinkhorn_per_step,
          same.pearson,
          different.pearson,
          same.mean_square,
          different.mean_square};
}

// The other model's vocabulary, seen from the reference's; null: they are one.
std::shared_ptr<const token_map::TokenMap> map_between(const text::Tokenizer& reference, const text::Tokenizer& other) {
  if (token_map::same_vocabulary(reference, other)) return nullptr;
  return std::make_shared<token_map::TokenMap>(
      token_map::make_token_map(reference, other, token_map::Method::pm_mined, token_map::Compat::corrected));
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator&) {
  const auto p = records::from_json<SimilarityParameters>(task.parameters, task.name);
  const Side reference = load(p.reference, p.reference.instruct, nullptr, bench);
  const auto map = map_between(*reference.base.tokenizer, *bench.tokenizer(p.other.base));
  const Side same = load(p.other, p.other.instruct, map, bench),
             different = load(p.other, p.other.other.value(), map, bench);
  const Asked asked{prompt_template(p.base_prompt), prompt_template(p.tuned_prompt)};
  const auto texts = texts_of(reference, asked.tuned, read_questions(p, bench), p.new_tokens);
  const auto report = log_progress(task.name);
  std::vector<ShiftRow> rows;
  std::vector<ShiftStepRow> steps;
  for (size_t i = 0; i < texts.size(); ++i) {
    report(static_cast<int64_t>(i), std::ssize(texts), "");
    if (texts[i].answer.empty()) continue;
    const auto item = static_cast<int64_t>(i), count = std::ssize(texts[i].answer);
    const auto shifts = shifts_on(texts[i], asked, reference, same, different, p.top);
    rows.push_back(
        row_of(item, count, likeness(shifts.reference, shifts.same), likeness(shifts.reference, shifts.different)));
    for (int64_t step = 0; step < count; ++step)
      steps.push_back({item, step, values_of(shifts.reference[step]), values_of(shifts.same[step]),
                       values_of(shifts.different[step])});
  }
  if (rows.empty())
    throw BadData(
        {task.name, "the tuned reference answers every prompt with nothing", "train it longer, or give other prompts"});
  store::Unit unit;
  records::write_rows(unit, rows);
  records::write_rows(unit, steps);
  return unit;
}

}  // namespace

const Stage similarity_stage = {"similarity", 1, Stage::Runs::models, plan, run};

}  // namespace cmc::stages
