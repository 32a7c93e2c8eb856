// Instruction following: AlpacaEval answers of every (target, delta, strength), and a judge that needs no network: the
// likelihood of the reference answer, and what can be checked on a response by rule.
#include "pipeline/core/error.hpp"
#include "pipeline/data/alpaca_eval.hpp"
#include "pipeline/metrics/response_health.hpp"
#include "pipeline/text/prompt_template.hpp"
#include "stages/columns.hpp"
#include "stages/planner.hpp"
#include "stages/stage.hpp"
#include "stages/steered_target.hpp"

namespace cmc::stages {
namespace {

// Prompts first … first + count of the file, as one unit.
void add_slice(Planner& planner, const Evaluated& evaluated, int64_t first, int64_t count) {
  const auto& experiment = planner.experiment();
  const std::string section = "model." + evaluated.target + ".";
  const bool same = planner.shares_template_vocabulary(evaluated.target);
  dist::Task task;
  task.stage = "instruct";
  task.name = "AlpacaEval " + std::to_string(first) + "-" + std::to_string(first + count - 1) + " " + describe(evaluated);
  task.parameters = {{"first", first},
                     {"count", count},
                     {"data", planner.file(experiment.path("data.alpaca_eval"))},
                     {"new_tokens", experiment.integer("instruct.new_tokens")},
                     {"base_prompt", experiment.text(section + (same ? "prompt" : "other_prompt"))},
                     {"delta_prompt", "open_instruct"}};
  add_evaluated(planner, evaluated, experiment.numbers("instruct.strengths"), task);
  const auto rows = static_cast<double>(count) * static_cast<double>(task.parameters.at("strengths").size());
  const double parameters = parameter_count(planner.config(evaluated.target));
  task.seconds = forward_seconds(parameters, rows * (300 + 2 * static_cast<double>(experiment.integer("instruct.new_tokens"))));
  task.bytes = static_cast<int64_t>(parameters * 4);
  planner.add(std::move(task));
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  if (experiment.list("deltas.instruct").empty()) return;
  const int64_t limit = experiment.integer("instruct.items"), slice = std::max<int64_t>(1, experiment.integer("instruct.unit_items"));
  const auto all = static_cast<int64_t>(data::read_alpaca_eval(experiment.path("data.alpaca_eval")).items.size());
  const int64_t items = limit > 0 ? std::min(limit, all) : all;
  auto systems = experiment.list("deltas.instruct");
  systems.insert(systems.begin(), "");
  for (const auto& target : experiment.list("models.targets"))
    for (const auto& delta : systems)
      for (int64_t first = 0; first < items; first += slice)
        add_slice(planner, {target, planner.model(target), delta, "instruct"}, first, std::min(slice, items - first));
}

std::vector<data::AlpacaEvalItem> read_slice(const Json& p, const Workbench& bench) {
  const auto set = data::read_alpaca_eval(bench.experiment().path("data.alpaca_eval"));
  if (set.content_hash != p.at("data").at("sha256"))
    throw BadData({set.file.string(), "has changed since the plan was made", "run again"});
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
};

store::Unit to_unit(Rows rows) {
  store::Unit unit;
  unit.datasets = {
      column("alpha", "row", std::move(rows.alpha), {"1", "strength of the delta", "0: vanilla"}),
      column("item", "row", std::move(rows.item), {"1", "index of the prompt in the data file"}),
      column("prompt", "row", std::move(rows.prompt), {"1", "instruction"}),
      column("response", "row", std::move(rows.response), {"1", "generated text"}),
      column("reference", "row", std::move(rows.reference), {"1", "reference answer of the data file"}),
      column("stop_reason", "row", std::move(rows.stop_reason), {"1", "what ended the response"}),
      column("stopped", "row", std::move(rows.stopped), {"1", "ended by itself", "1: end token or stop string, 0: length limit"}),
      column("repetition", "row", std::move(rows.repetition), {"1", "repetition", "share of 4-grams that occurred before"}),
      column("reference_logprob", "row", std::move(rows.reference_log_prob),
             {"nat", "log-probability of the reference answer", "sum over its tokens, end token excluded"}),
      column("reference_tokens", "row", std::move(rows.reference_tokens), {"token", "tokens of the reference answer"})};
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

store::Unit run(const dist::Task& task, Workbench& bench, const dist::Communicator&) {
  const auto& p = task.parameters;
  const auto items = read_slice(p, bench);
  SteeredTarget target(p, bench);
  const auto base_prompt = prompt_of(p, "base_prompt", bench), delta_prompt = prompt_of(p, "delta_prompt", bench);
  std::vector<SteeredTarget::Prompt> prompts;
  std::vector<SteeredTarget::Answer> references;
  for (const auto& item : items) {
    prompts.push_back({base_prompt(item.instruction), delta_prompt(item.instruction)});
    SteeredTarget::Answer answer{target.tokenizer().encode(prompts.back().base, text::AddedTokens::as_model)};
    answer.first = static_cast<int64_t>(answer.tokens.size());
    for (const int32_t id : target.tokenizer().encode(item.output, text::AddedTokens::none)) answer.tokens.push_back(id);
    references.push_back(std::move(answer));
  }
  const auto report = log_progress(task.name);
  const auto generated = target.generate(prompts, p.at("new_tokens"), [&](const auto& g) { report(g.finished, g.total); });
  const auto scores = target.score(references, [&](const auto& s) { report(s.tokens, s.total); });
  Rows rows;
  for (size_t s = 0; s < target.strengths().size(); ++s)
    for (size_t i = 0; i < items.size(); ++i) {
      const auto& answer = generated[s][i];
      const auto health = metrics::response_health(answer.text, metric_reason(answer.reason));
      rows.alpha.push_back(target.strengths()[s]);
      rows.item.push_back(p.at("first").get<int64_t>() + static_cast<int64_t>(i));
      rows.prompt.push_back(items[i].instruction);
      rows.response.push_back(answer.text);
      rows.reference.push_back(items[i].output);
      rows.stop_reason.emplace_back(decode::name_of(answer.reason));
      rows.tokens.push_back(plain_ids(answer.tokens));
      rows.stopped.push_back(health.stopped);
      rows.repetition.push_back(health.repetition);
      rows.reference_log_prob.push_back(scores[s][i].log_prob);
      rows.reference_tokens.push_back(scores[s][i].tokens());
    }
  return to_unit(std::move(rows));
}

}  // namespace

const Stage instruct_stage = {"instruct", plan, run};

}  // namespace cmc::stages
