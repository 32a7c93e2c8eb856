// Win rates by a model of ours in place of GPT-4 (paper, Table 1): each instruct response against the reference output of the
// data file, or against what the target alone answers.
#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "pipeline/core/error.hpp"
#include "pipeline/core/log.hpp"
#include "pipeline/data/alpaca_eval.hpp"
#include "stages/columns.hpp"
#include "stages/footprint.hpp"
#include "stages/pairwise_judge.hpp"
#include "stages/planner.hpp"
#include "stages/stage.hpp"
#include "stages/steered_target.hpp"
#include "stages/task_progress.hpp"

namespace cmc::stages {
namespace {

// The planned units of one system's plain AlpacaEval responses.
using Units = std::vector<distributed::Task>;

// Two units are of one system where all but the slice of prompts is the same.
std::vector<Units> planned_responses(const Planner& planner) {
  std::map<std::string, Units> systems;
  for (const auto& task : planner.tasks()) {
    if (task.stage != "instruct" || task.parameters.at("prompts") != "plain") continue;
    Json system = task.parameters;
    system.erase("first");
    system.erase("count");
    systems[system.dump()].push_back(task);
  }
  std::vector<Units> all;
  for (auto& [system, units] : systems) all.push_back(std::move(units));
  return all;
}

bool is_vanilla(const Units& units) { return units.front().parameters.at("method") == "vanilla"; }

// The units of what the same target answers alone.
const Units& vanilla_of(const Units& units, const std::vector<Units>& systems) {
  const auto found = std::ranges::find_if(systems, [&](const Units& other) {
    return is_vanilla(other) && other.front().parameters.at("target") == units.front().parameters.at("target");
  });
  expect(found != systems.end(), "a judge against vanilla has vanilla among the methods");
  return *found;
}

// "gemma + tiny", as the instruct task calls it behind its slice: "AlpacaEval 0-31 gemma + tiny".
std::string label_of(const Units& units) {
  const std::string& name = units.front().name;
  return name.substr(name.find(' ', name.find(' ') + 1) + 1);
}

struct Slice { int64_t first, count; };

// Keys of the units that hold prompts of the slice.
std::vector<std::string> keys_in(const Units& units, const Slice& slice) {
  std::vector<std::string> keys;
  for (const auto& task : units) {
    const int64_t first = task.parameters.at("first"), count = task.parameters.at("count");
    if (first < slice.first + slice.count && slice.first < first + count) keys.push_back(task.key);
  }
  return keys;
}

// How the judge is asked, "auto" resolved.
std::string prompt_style_for(const Experiment& experiment, const std::string& judge) {
  const std::string style = experiment.text("judge.prompt"), path = "model." + judge + ".path";
  const bool chats = experiment.has(path) && text::has_chat_template(experiment.path(path));
  if (chats && (style == "auto" || style == "chat")) text::PromptTemplate(text::PromptStyle::chat, experiment.path(path));  // is known
  if (style == "auto") return chats ? "chat" : "open_instruct";
  if (style == "chat" && !chats)
    throw BadExperiment({"judge.prompt", "is chat, but " + judge + " has no chat template", "set judge.prompt = open_instruct"});
  return style;
}

// The judge and what it compares with, as the parameters of each task.
Json judge_parameters(Planner& planner) {
  const auto& experiment = planner.experiment();
  const std::string judge = experiment.text("judge.model"), against = experiment.text("judge.against");
  const auto references = data::read_alpaca_eval(experiment.path("data.alpaca_eval"), 1).items;
  Json parameters = {{"judge", planner.model(judge)},
                     {"against", against},
                     {"baseline", against == "vanilla" || references.empty() ? against : references.front().generator},
                     {"prompt", prompt_style_for(experiment, judge)}};
  // Another key than that of earlier versions, whose tokenizer added a begin token where the template writes none.
  if (parameters.at("prompt") == "chat" && planner.adds_tokens(judge) &&
      !text::PromptTemplate(text::PromptStyle::chat, experiment.path("model." + judge + ".path")).writes_begin_token())
    parameters["chat_tokens"] = "template";
  return parameters;
}

void add_slice(Planner& planner, const Json& judge, const Units& responses, const Units* vanilla, const Slice& slice) {
  const auto& system = responses.front().parameters;
  const std::string judge_name = judge.at("judge").at("name");
  distributed::Task task;
  task.stage = "judge";
  task.parameters = judge;
  for (const char* key : {"target", "method", "delta", "mode", "map_method", "unmapped", "top", "strengths", "seed"})
    if (system.contains(key)) task.parameters[key] = system.at(key);
  task.parameters["first"] = slice.first;
  task.parameters["count"] = slice.count;
  task.parameters["responses"] = task.inputs = keys_in(responses, slice);
  if (vanilla) {
    const auto baseline = keys_in(*vanilla, slice);
    task.parameters["vanilla"] = baseline;
    task.inputs.insert(task.inputs.end(), baseline.begin(), baseline.end());
  }
  task.name = judge_name + " judges " + std::to_string(slice.first) + "-" + std::to_string(slice.first + slice.count - 1) + " " +
              label_of(responses);
  task.tensor_parallel = planner.tensor_parallel(judge_name);
  planner.keeps(task, judge.at("judge"), judge_name);
  const double parameters = parameter_count(planner.config(judge_name));
  const double tokens = 2 * 400 + 2 * static_cast<double>(planner.experiment().integer("instruct.new_tokens"));  // both orders
  const auto rows = static_cast<double>(slice.count) * static_cast<double>(system.at("strengths").size());
  task.seconds = forward_seconds(parameters, rows * tokens);
  task.bytes = decoding_bytes(planner.experiment(), planner.config(judge_name), 0, task.tensor_parallel);  // it reads without a cache
  planner.add(std::move(task));
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  if (!experiment.has("judge.model")) return;
  const Json judge = judge_parameters(planner);
  const int64_t size = std::max<int64_t>(1, experiment.integer("judge.unit_items"));
  const bool by_vanilla = judge.at("against") == "vanilla";
  const auto systems = planned_responses(planner);
  for (const Units& responses : systems) {
    if (by_vanilla && is_vanilla(responses)) continue;
    int64_t items = 0;
    for (const auto& task : responses)
      items = std::max(items, task.parameters.at("first").get<int64_t>() + task.parameters.at("count").get<int64_t>());
    for (int64_t first = 0; first < items; first += size)
      add_slice(planner, judge, responses, by_vanilla ? &vanilla_of(responses, systems) : nullptr, {first, std::min(size, items - first)});
  }
}

// Responses by strength and prompt.
struct Response { std::string instruction, text, reference; };
using Responses = std::map<std::pair<double, int64_t>, Response>;

Responses read_responses(const Json& keys, const Slice& slice, const Workbench& bench) {
  Responses responses;
  for (const auto& key : keys) {
    const store::Unit unit = bench.units().read(key);
    const auto& alphas = values<double>(unit, "alpha");
    const auto& items = values<int64_t>(unit, "item");
    const auto &prompts = values<std::string>(unit, "prompt"), &texts = values<std::string>(unit, "response"),
               &references = values<std::string>(unit, "reference");
    for (size_t row = 0; row < alphas.size(); ++row)
      if (items[row] >= slice.first && items[row] < slice.first + slice.count)
        responses[{alphas[row], items[row]}] = {prompts[row], texts[row], references[row]};
  }
  return responses;
}

// One row a (strength, prompt).
struct Rows {
  std::vector<double> alpha, better, first, second, answered;
  std::vector<int64_t> item;
};

store::Unit to_unit(Rows rows) {
  store::Unit unit;
  unit.datasets = {
      column("alpha", "row", std::move(rows.alpha), {"1", "strength of the delta", "0: vanilla"}),
      column("item", "row", std::move(rows.item), {"1", "index of the prompt in the data file"}),
      column("probability", "row", std::move(rows.better),
             {"1", "probability that the response is better", "mean of both orders; ½: a tie"}),
      column("probability_first", "row", std::move(rows.first),
             {"1", "the same with the response shown first", "P(A) / (P(A) + P(B)) of the judge's verdict"}),
      column("probability_second", "row", std::move(rows.second),
             {"1", "the same with the response shown second", "P(B) / (P(A) + P(B)) of the judge's verdict"}),
      column("verdict_probability", "row", std::move(rows.answered),
             {"1", "probability of any verdict", "P(A) + P(B), mean of both orders"})};
  return unit;
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator&) {
  const auto& p = task.parameters;
  const Slice slice{p.at("first"), p.at("count")};
  const Responses responses = read_responses(p.at("responses"), slice, bench);
  const bool by_reference = p.at("against") == "reference";
  const Responses vanilla = by_reference ? Responses{} : read_responses(p.at("vanilla"), slice, bench);
  const text::PromptTemplate prompt(text::prompt_style(p.at("prompt").get<std::string>()), bench.folder(p.at("judge")));
  const auto model = bench.target(p.at("judge"));
  PairwiseJudge judge(model, bench.tokenizer(p.at("judge")), prompt);
  const auto report = log_progress(task.name);
  Rows rows;
  int64_t too_long = 0;
  for (const auto& [row, response] : responses) {
    const auto& [alpha, item] = row;
    const Verdict verdict =
        judge.compare({response.instruction, response.text, by_reference ? response.reference : vanilla.at({0, item}).text});
    too_long += std::isnan(verdict.better());
    rows.alpha.push_back(alpha);
    rows.item.push_back(item);
    rows.better.push_back(verdict.better());
    rows.first.push_back(verdict.first);
    rows.second.push_back(verdict.second);
    rows.answered.push_back(verdict.answered);
    report(std::ssize(rows.item), std::ssize(responses), "");
  }
  if (too_long > 0) log_warning(task.name, ": ", too_long, " comparisons are longer than the judge's context and stay unjudged");
  store::Unit unit = to_unit(std::move(rows));
  unit.cost["tokens"] = judge.tokens();
  unit.cost["flops"] = 2 * parameter_count(model->config()) * static_cast<double>(judge.tokens());
  return unit;
}

}  // namespace

const Stage judge_stage = {"judge", plan, run};

}  // namespace cmc::stages
