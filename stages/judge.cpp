// Win rates by a model of ours in place of GPT-4 (paper, Table 1): each instruct response against the reference output
// of the data file, or against what the target alone answers.
#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "pipeline/core/error.hpp"
#include "pipeline/core/log.hpp"
#include "pipeline/data/alpaca_eval.hpp"
#include "pipeline/judge/pairwise_judge.hpp"
#include "pipeline/records/evaluation_parameters.hpp"
#include "pipeline/records/rows.hpp"
#include "stages/all_stages.hpp"
#include "stages/planning/footprint.hpp"
#include "stages/planning/planned_compute.hpp"
#include "stages/planning/planned_data.hpp"
#include "stages/planning/planner.hpp"
#include "stages/workbench/workbench.hpp"

namespace cmc::stages {
namespace {

using records::Against, records::InstructParameters, records::JudgeParameters, records::JudgeRow,
    records::JudgeSettings, records::Slice;

// A planned unit of plain AlpacaEval responses.
struct Responses {
  std::string key;
  Slice slice;
};
struct Planned {
  std::vector<double> strengths;
  std::vector<Responses> units;
};
using Systems = std::map<records::System, Planned>;

Systems planned_responses(const Planner& planner) {
  Systems systems;
  for (const auto& task : planner.tasks()) {
    if (task.stage != instruct_stage.name) continue;
    const auto p = records::from_json<InstructParameters>(task.parameters, task.name);
    if (p.prompts != records::Prompts::plain) continue;
    auto& planned = systems[p.evaluation.system];
    planned.strengths = p.evaluation.strengths;
    planned.units.push_back({task.key, p.slice});
  }
  return systems;
}

// Keys of the units that hold prompts of the slice.
std::vector<std::string> keys_in(const std::vector<Responses>& units, const Slice& slice) {
  std::vector<std::string> keys;
  for (const auto& [key, held] : units)
    if (held.first < slice.first + slice.count && slice.first < held.first + held.count) keys.push_back(key);
  return keys;
}

// How the judge is asked, "auto" resolved.
records::Prompt prompt_for(Planner& planner, const std::string& judge) {
  const auto& experiment = planner.experiment();
  sections::Prompt setting = experiment.judge.prompt;
  const bool chats = planner.has_chat_template(judge);
  if (setting.style == "auto") setting.style = chats ? "chat" : "open_instruct";
  if (setting.style == "chat" && !chats)
    experiment.fail("judge.prompt", "is chat, but " + judge + " has no chat template",
                    "set judge.prompt = open_instruct");
  return planner.prompt(setting, judge);
}

// The judge and what it compares with.
JudgeSettings settings_of(Planner& planner) {
  const auto& experiment = planner.experiment();
  const std::string& judge = experiment.judge.model;
  const Against against = experiment.judge.against;
  return {planner.model(judge), against,
          against == Against::reference ? evaluation_prompts(planner).reference : std::string(name_of(against)),
          prompt_for(planner, judge)};
}

void add_slice(Planner& planner, const JudgeSettings& settings, const records::System& system, const Systems& systems,
               const Slice& slice) {
  const Planned& responses = systems.at(system);
  const std::string& judge = settings.judge.name;
  distributed::Task task;
  JudgeParameters p{settings, system, responses.strengths, slice, keys_in(responses.units, slice), {}};
  task.inputs = p.responses;
  if (settings.against == Against::vanilla) {
    // What the same target answers alone: of the same seed, or measured once for all.
    auto vanilla = systems.find(system.vanilla());
    if (vanilla == systems.end()) vanilla = systems.find(system.vanilla().without_seed());
    expect(vanilla != systems.end(), "a judge against vanilla has vanilla among the methods");
    p.vanilla = keys_in(vanilla->second.units, slice);
    task.inputs.insert(task.inputs.end(), p.vanilla.begin(), p.vanilla.end());
  }
  task.name = judge + " judges " + shown(slice) + " " + describe_curve(system);
  planner.hold_together(task, judge);
  planner.keeps(task, settings.judge, judge);
  const double parameters = footprint_of(planner.config(judge)).weights();
  const double tokens = 2 * 400 + 2 * static_cast<double>(planner.experiment().instruct.new_tokens);  // both orders
  const auto rows = static_cast<double>(slice.count) * static_cast<double>(p.strengths.size());
  task.seconds = forward_seconds(parameters, rows * tokens);
  planner.takes(task, judge,
                decoding_bytes(planner.experiment(), planner.config(judge), 0));  // it reads without a cache
  planner.add(std::move(task), p);
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  if (experiment.judge.model.empty()) return;
  const JudgeSettings settings = settings_of(planner);
  const Systems systems = planned_responses(planner);
  for (const auto& [system, planned] : systems) {
    if (settings.against == Against::vanilla && system.is_vanilla()) continue;
    int64_t items = 0;
    for (const auto& unit : planned.units) items = std::max(items, unit.slice.first + unit.slice.count);
    for (const auto& slice : slices_of(items, experiment.judge.unit_items))
      add_slice(planner, settings, system, systems, slice);
  }
}

// Responses by strength and prompt.
struct Response {
  std::string instruction, text, reference;
};
using ByPrompt = std::map<std::pair<double, int64_t>, Response>;

ByPrompt read_responses(const std::vector<std::string>& keys, const Slice& slice, const Workbench& bench) {
  ByPrompt responses;
  for (const auto& key : keys)
    for (const auto& row : records::read_rows<records::InstructRow>(bench.units().read(key)))
      if (row.item >= slice.first && row.item < slice.first + slice.count)
        responses[{row.alpha, row.item}] = {row.prompt, row.response, row.reference.value_or("")};
  return responses;
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator&) {
  const auto p = records::from_json<JudgeParameters>(task.parameters, task.name);
  const bool by_reference = p.settings.against == Against::reference;
  const ByPrompt responses = read_responses(p.responses, p.slice, bench);
  const ByPrompt vanilla = by_reference ? ByPrompt{} : read_responses(p.vanilla, p.slice, bench);
  const auto model = bench.target(p.settings.judge);
  judge::PairwiseJudge pairwise(model, bench.tokenizer(p.settings.judge), prompt_template(p.settings.prompt));
  const auto report = bench.progress(task.name);
  std::vector<JudgeRow> rows;
  int64_t too_long = 0;
  for (const auto& [row, response] : responses) {
    const auto& [alpha, item] = row;
    const judge::Verdict verdict = pairwise.compare(
        {response.instruction, response.text, by_reference ? response.reference : vanilla.at({0, item}).text});
    too_long += std::isnan(verdict.better());
    rows.push_back({alpha, item, verdict.better(), verdict.first, verdict.second, verdict.answered});
    report(std::ssize(rows), std::ssize(responses), "");
  }
  if (too_long > 0)
    log_warning(task.name, ": ", too_long,
                " comparisons are longer than the judge's context, or hold what its prompt cannot write, "
                "and stay unjudged");
  store::Unit unit;
  records::write_rows(unit, rows);
  unit.cost.tokens = pairwise.tokens();
  unit.cost.flops = 2 * footprint_of(model->config()).weights() * static_cast<double>(pairwise.tokens());
  return unit;
}

}  // namespace

const Stage judge_stage = {"judge", 3, Stage::Runs::models, plan, run};

}  // namespace cmc::stages
