// IFEval: what the instruct systems answer its prompts, and which of their instructions the responses follow.
#include <algorithm>

#include "pipeline/ifeval/instruction.hpp"
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

using records::IfevalRow, records::ResponseParameters;

void add_slice(Planner& planner, const Evaluated& evaluated, const records::Slice& slice,
               const std::vector<std::string>& prompts) {
  const auto& experiment = planner.experiment();
  distributed::Task task;
  task.name = "IFEval " + shown(slice) + " " + describe_curve(evaluated.system);
  const ResponseParameters p{evaluation_of(planner, evaluated, experiment.instruct.strengths, task),
                             slice,
                             planner.file(experiment.data.ifeval),
                             experiment.ifeval.new_tokens,
                             instruct_prompt(planner, evaluated.system, prompts),
                             delta_prompt(planner, evaluated.system, prompts)};
  const auto rows = static_cast<double>(slice.count) * static_cast<double>(p.evaluation.strengths.size());
  const auto& config = planner.config(evaluated.system.target);
  task.seconds = forward_seconds(footprint_of(config).weights(), rows * (100 + static_cast<double>(p.new_tokens)));
  planner.takes(task, evaluated.system.target, decoding_bytes(experiment, config, 100 + p.new_tokens));
  planner.add(std::move(task), p);
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  if (experiment.data.ifeval.empty() || experiment.deltas.instruct.empty()) return;
  const auto [all, every_prompt] = ifeval_prompts(planner);
  const int64_t items = taken(experiment.ifeval.items, all);
  std::vector<std::string> prompts = every_prompt;
  prompts.resize(std::min(prompts.size(), static_cast<size_t>(items)));
  for (const auto& target : experiment.targets_of(records::Purpose::instruct))
    for (const auto& system : systems_on(planner, target, records::Purpose::instruct))
      for (const auto& slice : slices_of(items, experiment.ifeval.unit_items))
        add_slice(planner, system, slice, prompts);
}

std::vector<data::IfevalItem> read_slice(const ResponseParameters& p, const Workbench& bench) {
  const auto set = data::read_ifeval(bench.file(p.data));
  expect_planned(set.file, set.content_hash, p.data);
  const auto first = set.items.begin() + p.slice.first;
  return {first, first + p.slice.count};
}

void add_verdicts(IfevalRow& row, const std::vector<ifeval::Instruction>& instructions) {
  for (const auto& instruction : instructions) {
    const auto verdict = instruction.verdict(row.response);
    row.instruction_ids += (row.instruction_ids.empty() ? "" : " ") + instruction.id();
    row.strict.push_back(verdict.strict ? 1 : 0);
    row.loose.push_back(verdict.loose ? 1 : 0);
  }
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator&) {
  const auto p = records::from_json<ResponseParameters>(task.parameters, task.name);
  const auto items = read_slice(p, bench);
  SteeredTarget target(p.evaluation, bench);
  const auto base_prompt = prompt_template(p.base_prompt), delta_prompt = prompt_template(p.delta_prompt);
  std::vector<SteeredTarget::Prompt> prompts;
  std::vector<std::vector<ifeval::Instruction>> instructions;
  for (const auto& item : items) {
    prompts.push_back(target.prompt(base_prompt, delta_prompt, item.prompt));
    instructions.push_back(ifeval::instructions_of(item));
  }
  const auto report = bench.progress(task.name);
  const auto generated =
      target.generate(prompts, p.new_tokens, [&](const auto& g) { report(g.finished, g.total, ""); });
  std::vector<IfevalRow> rows;
  for (size_t s = 0; s < target.strengths().size(); ++s)
    for (size_t i = 0; i < items.size(); ++i) {
      const auto& answer = generated[s][i];
      auto& row = rows.emplace_back();
      row.alpha = target.strengths()[s];
      row.item = p.slice.first + static_cast<int64_t>(i);
      row.prompt_key = items[i].key;
      row.prompt = items[i].prompt;
      row.asked = base_prompt(items[i].prompt);
      row.response = answer.text;
      row.response_tokens = answer.plain_ids();
      row.stop_reason = decode::name_of(answer.reason);
      add_verdicts(row, instructions[i]);
    }
  store::Unit unit;
  records::write_rows(unit, rows);
  target.add_cost(unit);
  return unit;
}

}  // namespace

const Stage ifeval_stage = {"ifeval", 1, Stage::Runs::models, plan, run};

}  // namespace cmc::stages
