// How probable every system of the instruct targets finds answers of the instruction data that no training read: what
// the training itself promises. A first part of them is there to choose a strength by.
#include <algorithm>

#include "pipeline/data/alpaca.hpp"
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

using records::LikelihoodParameters, records::LikelihoodRow, records::UnreadPart;

struct Asked {
  UnreadPart part;
  int64_t first = 0, count = 0;
  std::vector<std::string> questions;  // empty: not known yet
};

void add_slice(Planner& planner, const Evaluated& evaluated, const Asked& asked, const records::Slice& slice) {
  const auto& experiment = planner.experiment();
  const auto& system = evaluated.system;
  distributed::Task task;
  task.name = std::string(name_of(asked.part)) + " answers " + shown(slice) + " " + describe_curve(system);
  const auto& strengths =
      experiment.likelihood.strengths.empty() ? experiment.instruct.strengths : experiment.likelihood.strengths;
  const LikelihoodParameters p{evaluation_of(planner, evaluated, strengths, task),
                               asked.part,
                               slice,
                               planner.file(experiment.given(experiment.data.alpaca)),
                               instruct_prompt(planner, system, asked.questions),
                               delta_prompt(planner, system, asked.questions)};
  const auto& config = planner.config(system.target);
  const auto rows = static_cast<double>(slice.count) * static_cast<double>(p.evaluation.strengths.size());
  task.seconds = forward_seconds(footprint_of(config).weights(), rows * 250);
  planner.takes(task, system.target, decoding_bytes(experiment, config, 300));
  planner.add(std::move(task), p);
}

// Pairs of data.alpaca that the trainings read: train_instruct.items, 0: all.
int64_t read_pairs(Planner& planner, int64_t all) {
  const auto& experiment = planner.experiment();
  const int64_t read = taken(experiment.train_instruct.items, all);
  const int64_t asked = experiment.likelihood.choice_items + experiment.likelihood.items;
  if (read + asked > all)
    experiment.fail("likelihood.items",
                    "and likelihood.choice_items ask for " + std::to_string(asked) + " pairs, of " +
                        std::to_string(all) + " are " + std::to_string(read) + " trained on",
                    "set train_instruct.items to " + std::to_string(std::max<int64_t>(1, all - asked)) + " or less");
  return read;
}

std::vector<Asked> asked_parts(Planner& planner) {
  const auto& experiment = planner.experiment();
  const auto& settings = experiment.likelihood;
  const auto& file = experiment.given(experiment.data.alpaca);
  const int64_t first = read_pairs(planner, instruction_pairs(planner, file));
  std::vector<Asked> parts = {{UnreadPart::choice, first, settings.choice_items, {}},
                              {UnreadPart::unread, first + settings.choice_items, settings.items, {}}};
  const int64_t all = first + settings.choice_items + settings.items;
  const auto read = planner.absent().read_or([&] { return data::read_alpaca(file, static_cast<size_t>(all)).items; },
                                             [] { return std::vector<data::QuestionAnswer>(); });
  for (auto& part : parts)
    for (int64_t i = part.first; i < std::min(part.first + part.count, std::ssize(read)); ++i)
      part.questions.push_back(read[static_cast<size_t>(i)].question);
  return parts;
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  if (experiment.likelihood.items + experiment.likelihood.choice_items == 0 || experiment.deltas.instruct.empty())
    return;
  const auto parts = asked_parts(planner);
  for (const auto& target : experiment.targets_of(records::Purpose::instruct))
    for (const auto& system : systems_on(planner, target, records::Purpose::instruct))
      for (const auto& part : parts) {
        if (part.part == UnreadPart::choice && !system.system.adds_delta()) continue;  // there is nothing to choose
        for (auto slice : slices_of(part.count, experiment.likelihood.unit_items)) {
          slice.first += part.first;
          add_slice(planner, system, part, slice);
        }
      }
}

std::vector<SteeredTarget::Answer> read_answers(const LikelihoodParameters& p, const SteeredTarget& target,
                                                const Workbench& bench) {
  const auto path = bench.file(p.data);
  const auto set = data::read_alpaca(path, static_cast<size_t>(p.slice.first + p.slice.count));
  expect_planned(path, set.content_hash, p.data);
  const auto base = prompt_template(p.base_prompt), delta = prompt_template(p.delta_prompt);
  std::vector<SteeredTarget::Answer> answers;
  for (int64_t i = 0; i < p.slice.count; ++i) {
    const auto& pair = set.items.at(static_cast<size_t>(p.slice.first + i));
    const auto prompt = target.prompt(base, delta, pair.question);
    auto& answer = answers.emplace_back(SteeredTarget::Answer{prompt.base, std::ssize(prompt.base)});
    answer.delta_prompt = prompt.delta, answer.other_prompt = prompt.other;
    for (const int32_t id : target.tokenizer().encode(pair.answer, text::AddedTokens::none))
      answer.tokens.push_back(id);
    answer.tokens.push_back(target.tokenizer().special().end);
  }
  return answers;
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator&) {
  const auto p = records::from_json<LikelihoodParameters>(task.parameters, task.name);
  SteeredTarget target(p.evaluation, bench);
  const auto report = bench.progress(task.name);
  const auto scores =
      target.score(read_answers(p, target, bench), [&](const auto& s) { report(s.tokens, s.total, ""); });
  std::vector<LikelihoodRow> rows;
  for (size_t s = 0; s < target.strengths().size(); ++s)
    for (size_t i = 0; i < scores[s].size(); ++i) {
      const auto& score = scores[s][i];
      rows.push_back({target.strengths()[s], p.slice.first + static_cast<int64_t>(i), score.log_prob,
                      score.of_each.back(), score.tokens()});
    }
  store::Unit unit;
  records::write_rows(unit, rows);
  target.add_cost(unit);
  return unit;
}

}  // namespace

const Stage likelihood_stage = {"likelihood", 1, Stage::Runs::models, plan, run};

}  // namespace cmc::stages
