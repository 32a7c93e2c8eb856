// Instruction following: AlpacaEval answers of every (target, delta, strength), and a judge that needs no network: the
// likelihood of the reference answer, and what can be checked on a response by rule.
#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/core/random.hpp"
#include "pipeline/data/alpaca_eval.hpp"
#include "pipeline/metrics/instruction_rules.hpp"
#include "pipeline/metrics/response_health.hpp"
#include "pipeline/text/prompt_template.hpp"
#include "stages/columns.hpp"
#include "stages/footprint.hpp"
#include "stages/planner.hpp"
#include "stages/stage.hpp"
#include "stages/steered_target.hpp"
#include "stages/task_progress.hpp"

namespace cmc::stages {
namespace {

// Prompts first … first + count of the file, as one unit. `prompts`: "plain" as they are, or "checked": each with an
// instruction drawn by seed that a rule can check (after IFEval, Zhou et al. 2023).
struct Slice {
  std::string prompts;
  int64_t first, count;
};

void add_slice(Planner& planner, const Evaluated& evaluated, const Slice& slice) {
  const auto& experiment = planner.experiment();
  const std::string section = "model." + evaluated.target + ".";
  // A tuned target reads what it was tuned on, whatever its vocabulary.
  const bool tuned = evaluated.method == "lora" || evaluated.method == "full";
  const std::string prompt = planner.share_vocabulary(evaluated.target, experiment.template_of("instruct")) ? "prompt" : "other_prompt";
  distributed::Task task;
  task.stage = "instruct";
  task.name = (slice.prompts == "plain" ? "AlpacaEval " : "AlpacaEval, checked, ") + std::to_string(slice.first) + "-" +
              std::to_string(slice.first + slice.count - 1) + " " + describe(evaluated);
  task.parameters = {{"prompts", slice.prompts},
                     {"first", slice.first},
                     {"count", slice.count},
                     {"data", planner.file(experiment.path("data.alpaca_eval"))},
                     {"new_tokens", experiment.integer("instruct.new_tokens")},
                     {"base_prompt", tuned ? "open_instruct" : experiment.text(section + prompt)},
                     {"delta_prompt", "open_instruct"}};
  // Another key than that of earlier versions, whose tokenizer added a second begin token.
  if (task.parameters.at("base_prompt") == "chat" && planner.adds_tokens(evaluated.target)) task.parameters["chat_tokens"] = "template";
  add_evaluated(planner, evaluated, experiment.numbers("instruct.strengths"), task);
  const auto rows = static_cast<double>(slice.count) * static_cast<double>(task.parameters.at("strengths").size());
  const double parameters = parameter_count(planner.config(evaluated.target));
  task.seconds = forward_seconds(parameters, rows * (300 + 2 * static_cast<double>(experiment.integer("instruct.new_tokens"))));
  task.bytes = decoding_bytes(experiment, planner.config(evaluated.target), 300 + experiment.integer("instruct.new_tokens"), task.tensor_parallel);
  if (slice.prompts == "checked") task.parameters["seed"] = experiment.integer("experiment.seed");
  planner.add(std::move(task));
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  if (experiment.list("deltas.instruct").empty()) return;
  const int64_t limit = experiment.integer("instruct.items"), slice = std::max<int64_t>(1, experiment.integer("instruct.unit_items"));
  const auto all = static_cast<int64_t>(data::read_alpaca_eval(experiment.path("data.alpaca_eval")).items.size());
  const int64_t items = limit > 0 ? std::min(limit, all) : all;
  const int64_t checked = std::min(experiment.integer("instruct.checked_items"), all);
  for (const auto& target : experiment.targets_of("instruct"))
    for (const auto& system : systems_on(planner, target, "instruct")) {
      for (int64_t first = 0; first < items; first += slice)
        add_slice(planner, system, {"plain", first, std::min(slice, items - first)});
      for (int64_t first = 0; first < checked; first += slice)
        add_slice(planner, system, {"checked", first, std::min(slice, checked - first)});
    }
}

std::vector<data::AlpacaEvalItem> read_slice(const Json& p, const Workbench& bench) {
  const auto set = data::read_alpaca_eval(bench.file(p.at("data")));
  expect_planned(set.file, set.content_hash, p.at("data"));
  const auto first = set.items.begin() + p.at("first").get<int64_t>();
  return {first, first + p.at("count").get<int64_t>()};
}

// One row a (strength, prompt).
struct Rows {
  std::vector<double> alpha;
  std::vector<int64_t> item;
  std::vector<std::string> prompt, response, reference, stop_reason;
  std::vector<std::vector<int32_t>> tokens;
  std::vector<int32_t> stopped;
  std::vector<double> repetition, reference_log_prob;
  std::vector<int64_t> reference_tokens;
  std::vector<int32_t> followed, fact;  // of prompts with checks only
};

store::Unit to_unit(Rows rows) {
  store::Unit unit;
  unit.datasets = {
      column("alpha", "row", std::move(rows.alpha), {"1", "strength of the delta", "0: vanilla"}),
      column("item", "row", std::move(rows.item), {"1", "index of the prompt in the data file"}),
      column("prompt", "row", std::move(rows.prompt), {"1", "instruction"}),
      column("response", "row", std::move(rows.response), {"1", "generated text"}),
      column("stop_reason", "row", std::move(rows.stop_reason), {"1", "what ended the response"}),
      column("stopped", "row", std::move(rows.stopped), {"1", "ended by itself", "1: end token or stop string, 0: length limit"}),
      column("repetition", "row", std::move(rows.repetition), {"1", "repetition", "share of 4-grams that occurred before"})};
  if (!rows.followed.empty())
    unit.datasets.push_back(column("followed", "row", std::move(rows.followed),
                                   {"1", "instruction followed", "1: the response has the form that the prompt asks for"}));
  if (!rows.fact.empty())
    unit.datasets.push_back(column("fact", "row", std::move(rows.fact), {"1", "right fact", "1: the response names what is true"}));
  if (!rows.reference.empty()) {
    unit.datasets.push_back(column("reference", "row", std::move(rows.reference), {"1", "reference answer of the data file"}));
    unit.datasets.push_back(column("reference_logprob", "row", std::move(rows.reference_log_prob),
                                   {"nat", "log-probability of the reference answer", "sum over its tokens, end token excluded"}));
    unit.datasets.push_back(
        column("reference_tokens", "row", std::move(rows.reference_tokens), {"token", "tokens of the reference answer"}));
  }
  unit.ragged = {token_column("response_tokens", "row", rows.tokens, "generated base tokens")};
  return unit;
}

metrics::StopReason metric_reason(decode::StopReason reason) {
  switch (reason) {
    case decode::StopReason::end_token: return metrics::StopReason::end_token;
    case decode::StopReason::stop_string: return metrics::StopReason::stop_sequence;
    case decode::StopReason::length: break;
  }
  return metrics::StopReason::length;
}

std::vector<int32_t> plain_ids(const std::vector<BaseToken>& tokens) {
  std::vector<int32_t> ids;
  for (const auto token : tokens) ids.push_back(token.value);
  return ids;
}

text::PromptTemplate prompt_of(const Json& p, const char* key, const Workbench& bench) {
  return {text::prompt_style(p.at(key).get<std::string>()), bench.folder(p.at("model"))};
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
  for (const auto& check : item.checks) (check.of == "fact" ? question.fact : question.form).push_back(instruction_of(check));
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

std::vector<Question> read_questions(const Json& p, const Workbench& bench) {
  std::vector<Question> questions;
  int64_t number = p.at("first");
  for (const auto& item : read_slice(p, bench)) {
    questions.push_back(question_of(item));
    if (p.at("prompts") == "checked") draw_form(questions.back(), seed_of({p.at("seed").dump(), "instruction", std::to_string(number)}));
    ++number;
  }
  return questions;
}

SteeredTarget::Answer reference_of(const Question& question, const SteeredTarget::Prompt& prompt, const text::Tokenizer& tokenizer) {
  SteeredTarget::Answer answer{prompt.base};
  answer.first = static_cast<int64_t>(answer.tokens.size());
  answer.delta_prompt = prompt.delta;
  for (const int32_t id : tokenizer.encode(question.reference, text::AddedTokens::none)) answer.tokens.push_back(id);
  return answer;
}

void add_response(Rows& rows, const Question& question, const decode::Generated& answer) {
  const auto health = metrics::response_health(answer.text, metric_reason(answer.reason));
  rows.prompt.push_back(question.text);
  rows.response.push_back(answer.text);
  rows.stop_reason.emplace_back(decode::name_of(answer.reason));
  rows.tokens.push_back(plain_ids(answer.tokens));
  rows.stopped.push_back(health.stopped);
  rows.repetition.push_back(health.repetition);
  if (!question.form.empty()) rows.followed.push_back(passes(question.form, answer.text));
  if (!question.fact.empty()) rows.fact.push_back(passes(question.fact, answer.text));
}

void add_reference(Rows& rows, const Question& question, const decode::Score& score) {
  rows.reference.push_back(question.reference);
  rows.reference_log_prob.push_back(score.log_prob);
  rows.reference_tokens.push_back(score.tokens());
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator&) {
  const auto& p = task.parameters;
  const auto questions = read_questions(p, bench);
  SteeredTarget target(p, bench);
  const auto base_prompt = prompt_of(p, "base_prompt", bench), delta_prompt = prompt_of(p, "delta_prompt", bench);
  std::vector<SteeredTarget::Prompt> prompts;
  std::vector<SteeredTarget::Answer> references;  // the reference answers the plain instruction only
  for (const auto& question : questions) {
    prompts.push_back(target.prompt(base_prompt, delta_prompt, question.text));
    if (!question.drawn) references.push_back(reference_of(question, prompts.back(), target.tokenizer()));
  }
  const auto report = log_progress(task.name);
  const auto generated = target.generate(prompts, p.at("new_tokens"), [&](const auto& g) { report(g.finished, g.total, ""); });
  const auto scores = target.score(references, [&](const auto& s) { report(s.tokens, s.total, ""); });
  Rows rows;
  for (size_t s = 0; s < target.strengths().size(); ++s)
    for (size_t i = 0; i < questions.size(); ++i) {
      rows.alpha.push_back(target.strengths()[s]);
      rows.item.push_back(p.at("first").get<int64_t>() + static_cast<int64_t>(i));
      add_response(rows, questions[i], generated[s][i]);
      if (!references.empty()) add_reference(rows, questions[i], scores[s][i]);
    }
  store::Unit unit = to_unit(std::move(rows));
  target.add_cost(unit);
  return unit;
}

}  // namespace

const Stage instruct_stage = {"instruct", plan, run};

}  // namespace cmc::stages
