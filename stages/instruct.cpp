// Instruction following: AlpacaEval answers of every (target, delta, strength), and a judge that needs no network: the
// likelihood of the reference answer, and what can be checked on a response by rule.
#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/core/random.hpp"
#include "pipeline/data/alpaca_eval.hpp"
#include "pipeline/metrics/instruction_rules.hpp"
#include "pipeline/metrics/response_health.hpp"
#include "pipeline/records/rows.hpp"
#include "stages/all_stages.hpp"
#include "stages/planning/evaluated_systems.hpp"
#include "stages/planning/footprint.hpp"
#include "stages/planning/planned_compute.hpp"
#include "stages/planning/planned_data.hpp"
#include "stages/planning/planner.hpp"
#include "stages/workbench/steered_target.hpp"

namespace cmc::stages {
namespace {

using records::InstructParameters, records::InstructRow, records::Prompts;

void add_slice(Planner& planner, const Evaluated& evaluated, Prompts prompts, const records::Slice& slice,
               const std::vector<std::string>& questions) {
  const auto& experiment = planner.experiment();
  const auto& system = evaluated.system;
  distributed::Task task;
  task.name = (prompts == Prompts::plain ? "AlpacaEval " : "AlpacaEval, checked, ") + shown(slice) + " " +
              describe_curve(system);
  InstructParameters p{{evaluation_of(planner, evaluated, experiment.instruct.strengths, task), slice,
                        planner.file(experiment.given(experiment.data.alpaca_eval)), experiment.instruct.new_tokens,
                        instruct_prompt(planner, system, questions), delta_prompt(planner, system, questions)},
                       prompts};
  if (prompts == Prompts::checked) p.evaluation.system.seed = experiment.seed();
  const auto rows = static_cast<double>(slice.count) * static_cast<double>(p.evaluation.strengths.size());
  const auto& config = planner.config(system.target);
  task.seconds = forward_seconds(footprint_of(config).weights(), rows * (300 + 2 * static_cast<double>(p.new_tokens)));
  planner.takes(task, system.target, decoding_bytes(experiment, config, 300 + p.new_tokens));
  planner.add(std::move(task), p);
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  if (experiment.deltas.instruct.empty()) return;
  const int64_t unit = experiment.instruct.unit_items;
  const auto [all, every_question, reference] = evaluation_prompts(planner);
  const int64_t items = taken(experiment.instruct.items, all);
  const int64_t checked = std::min(experiment.instruct.checked_items, all);
  std::vector<std::string> questions = every_question;
  questions.resize(std::min(questions.size(), static_cast<size_t>(std::max(items, checked))));
  for (const auto& target : experiment.targets_of(records::Purpose::instruct))
    for (const auto& system : systems_on(planner, target, records::Purpose::instruct)) {
      for (const auto& slice : slices_of(items, unit)) add_slice(planner, system, Prompts::plain, slice, questions);
      for (const auto& slice : slices_of(checked, unit)) add_slice(planner, system, Prompts::checked, slice, questions);
    }
}

std::vector<data::AlpacaEvalItem> read_slice(const InstructParameters& p, const Workbench& bench) {
  const auto set = data::read_alpaca_eval(bench.file(p.data));
  expect_planned(set.file, set.content_hash, p.data);
  const auto first = set.items.begin() + p.slice.first;
  return {first, first + p.slice.count};
}

metrics::StopReason metric_reason(decode::StopReason reason) {
  switch (reason) {
    case decode::StopReason::end_token:
      return metrics::StopReason::end_token;
    case decode::StopReason::stop_string:
      return metrics::StopReason::stop_sequence;
    case decode::StopReason::length:
      break;
  }
  return metrics::StopReason::length;
}

// What one prompt of the slice asks.
struct Question {
  std::string text, reference;
  std::vector<metrics::Instruction> form, fact;  // what the response must fulfil; empty: nothing can be checked
  bool drawn = false;                            // the form was added to the prompt: the reference does not answer it
};

metrics::Instruction instruction_of(const data::ResponseCheck& check) {
  return {metrics::rule_of(check.rule), check.words, {check.least, check.most}};
}

Question question_of(const data::AlpacaEvalItem& item) {
  Question question{item.instruction, item.output, {}, {}};
  for (const auto& check : item.checks)
    (check.of == "fact" ? question.fact : question.form).push_back(instruction_of(check));
  return question;
}

void draw_form(Question& question, uint64_t seed) {
  Random random(seed);
  question.form = {metrics::draw_instruction(random)};
  question.text += " " + metrics::request(question.form.front());
  question.drawn = true;
}

bool passes(const std::vector<metrics::Instruction>& checks, const std::string& response) {
  return std::ranges::all_of(checks, [&](const auto& check) { return metrics::follows(check, response); });
}

std::vector<Question> read_questions(const InstructParameters& p, const Workbench& bench) {
  std::vector<Question> questions;
  int64_t number = p.slice.first;
  for (const auto& item : read_slice(p, bench)) {
    questions.push_back(question_of(item));
    if (p.prompts == Prompts::checked)
      draw_form(questions.back(),
                seed_of({std::to_string(p.evaluation.system.seed.value()), "instruction", std::to_string(number)}));
    ++number;
  }
  return questions;
}

SteeredTarget::Answer reference_of(const Question& question, const SteeredTarget::Prompt& prompt,
                                   const text::Tokenizer& tokenizer) {
  SteeredTarget::Answer answer{prompt.base};
  answer.first = static_cast<int64_t>(answer.tokens.size());
  answer.delta_prompt = prompt.delta, answer.other_prompt = prompt.other;
  for (const int32_t id : tokenizer.encode(question.reference, text::AddedTokens::none)) answer.tokens.push_back(id);
  return answer;
}

void add_response(InstructRow& row, const Question& question, const decode::Generated& answer) {
  const auto health = metrics::response_health(answer.text, metric_reason(answer.reason));
  row.prompt = question.text;
  row.response = answer.text;
  row.stop_reason = decode::name_of(answer.reason);
  row.response_tokens = answer.plain_ids();
  row.stopped = health.stopped;
  row.repetition = health.repetition;
  if (!question.form.empty()) row.followed = passes(question.form, answer.text);
  if (!question.fact.empty()) row.fact = passes(question.fact, answer.text);
}

void add_reference(InstructRow& row, const Question& question, const decode::Score& score) {
  row.reference = question.reference;
  row.reference_logprob = score.log_prob;
  row.reference_tokens = score.tokens();
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator&) {
  const auto p = records::from_json<InstructParameters>(task.parameters, task.name);
  const auto questions = read_questions(p, bench);
  SteeredTarget target(p.evaluation, bench);
  const auto base_prompt = prompt_template(p.base_prompt), delta_prompt = prompt_template(p.delta_prompt);
  std::vector<SteeredTarget::Prompt> prompts;
  std::vector<SteeredTarget::Answer> references;  // the reference answers the plain instruction only
  for (const auto& question : questions) {
    prompts.push_back(target.prompt(base_prompt, delta_prompt, question.text));
    if (!question.drawn) references.push_back(reference_of(question, prompts.back(), target.tokenizer()));
  }
  const auto report = bench.progress(task.name);
  const auto generated =
      target.generate(prompts, p.new_tokens, [&](const auto& g) { report(g.finished, g.total, ""); });
  const auto scores = target.score(references, [&](const auto& s) { report(s.tokens, s.total, ""); });
  std::vector<InstructRow> rows;
  for (size_t s = 0; s < target.strengths().size(); ++s)
    for (size_t i = 0; i < questions.size(); ++i) {
      auto& row = rows.emplace_back();
      row.alpha = target.strengths()[s];
      row.item = p.slice.first + static_cast<int64_t>(i);
      row.asked = base_prompt(questions[i].text);
      add_response(row, questions[i], generated[s][i]);
      if (!references.empty()) add_reference(row, questions[i], scores[s][i]);
    }
  store::Unit unit;
  records::write_rows(unit, rows);
  target.add_cost(unit);
  return unit;
}

}  // namespace

const Stage instruct_stage = {"instruct", 3, Stage::Runs::models, plan, run};

}  // namespace cmc::stages
