// TOFU: what a target still knows of the forget set, and of what it should keep (protocol, "TOFU evaluation").
#include <algorithm>
#include <map>
#include <span>

#include "pipeline/core/error.hpp"
#include "pipeline/data/tofu.hpp"
#include "pipeline/metrics/rouge.hpp"
#include "pipeline/metrics/tofu.hpp"
#include "pipeline/records/rows.hpp"
#include "stages/all_stages.hpp"
#include "stages/planning/evaluated_systems.hpp"
#include "stages/planning/footprint.hpp"
#include "stages/planning/planned_compute.hpp"
#include "stages/planning/planned_data.hpp"
#include "stages/planning/planner.hpp"
#include "stages/workbench/steered_target.hpp"
#include "stages/workbench/task_progress.hpp"
#include "stages/workbench/tofu_data.hpp"

namespace cmc::stages {
namespace {

// Report name of a set → its file's stem.
std::vector<std::pair<std::string, std::string>> sets(const Experiment& experiment) {
  std::vector<std::pair<std::string, std::string>> sets = {{"forget", experiment.train_unlearn.forget + "_perturbed"},
                                                           {"retain", "retain_perturbed"},
                                                           {"real_authors", "real_authors_perturbed"},
                                                           {"world_facts", "world_facts_perturbed"}};
  if (!experiment.unlearn.holdout.empty()) sets.emplace_back("holdout", experiment.unlearn.holdout);
  return sets;
}

// What the model that never saw the forget set is measured on: what others are compared with.
bool is_compared(const std::string& set) {
  return set == metrics::name_of(metrics::TofuSet::forget) || set == metrics::name_of(metrics::TofuSet::holdout);
}

using records::UnlearnParameters, records::UnlearnRow;

void add_slice(Planner& planner, const Evaluated& evaluated, const std::string& set, const std::string& stem,
               const records::Slice& slice) {
  const auto& experiment = planner.experiment();
  distributed::Task task;
  task.name = "TOFU " + set + " " + std::to_string(slice.first) + "-" + std::to_string(slice.first + slice.count - 1) +
              " " + describe_curve(evaluated.system);
  const UnlearnParameters p{evaluation_of(planner, evaluated, experiment.unlearn.strengths, task),
                            set,
                            stem,
                            slice,
                            planner.file(experiment.given(experiment.data.tofu) / (stem + ".json")),
                            experiment.unlearn.new_tokens,
                            experiment.train_unlearn.max_tokens,
                            tofu_prompt(experiment.unlearn),
                            experiment.unlearn.compat};
  const auto rows = static_cast<double>(slice.count) * static_cast<double>(p.evaluation.strengths.size());
  const double parameters = footprint_of(planner.config(evaluated.system.target)).weights();
  task.seconds = forward_seconds(parameters, rows * 1.5 * static_cast<double>(p.new_tokens) + rows * 6 * 80);
  task.bytes =
      decoding_bytes(experiment, planner.config(evaluated.system.target), 80 + p.new_tokens, task.tensor_parallel);
  planner.add(std::move(task), p);
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  if (experiment.deltas.unlearn.empty()) return;
  const int64_t limit = experiment.unlearn.items, slice = std::max<int64_t>(1, experiment.unlearn.unit_items);
  std::map<std::string, int64_t> sizes;
  for (const auto& [set, stem] : sets(experiment)) sizes[set] = std::min(limit, tofu_items(planner, stem));
  for (const auto& target : experiment.targets_of(records::Purpose::unlearn))
    for (const auto& system : systems_on(planner, target, records::Purpose::unlearn))
      for (const auto& [set, stem] : sets(experiment)) {
        if (system.system.method == records::Method::retain_only && !is_compared(set)) continue;
        for (int64_t first = 0; first < sizes[set]; first += slice)
          add_slice(planner, system, set, stem, {first, std::min(slice, sizes[set] - first)});
      }
}

std::vector<data::PerturbedItem> read_slice(const UnlearnParameters& p, const Workbench& bench) {
  const auto file = bench.file(p.data);
  const auto set = data::read_tofu_any(file.parent_path(), file.stem().string());
  expect_planned(file, set.content_hash, p.data);
  const auto first = set.items.begin() + p.slice.first;
  return {first, first + p.slice.count};
}

// Prompt and answer as one text, scored from where the prompt's tokens end, the end token included (published).
SteeredTarget::Answer to_answer(const text::Tokenizer& tokenizer, const TofuPrompt& prompt,
                                const data::PerturbedItem& item, const std::string& answer, int64_t max_tokens) {
  const auto example =
      train::encode_answer(tokenizer, prompt.question(item.question), prompt.answer(answer), max_tokens);
  const auto first = std::ranges::find_if(example.labels, [](int32_t label) { return label != train::ignored_label; });
  return {example.tokens, first - example.labels.begin()};
}

// `scores`: of the true, the paraphrased and each wrong answer.
UnlearnRow row_of(const data::PerturbedItem& item, const decode::Generated& generated,
                  std::span<const decode::Score> scores) {
  const auto rouge = metrics::rouge(item.answer, generated.text);
  UnlearnRow row;
  row.question = item.question;
  row.answer = item.answer;
  row.generated = generated.text;
  for (const auto token : generated.tokens) row.generated_tokens.push_back(token.value);
  row.rouge1_recall = rouge.rouge1.recall;
  row.rouge_l_recall = rouge.rouge_l.recall;
  row.answer_logprob = scores[0].log_prob, row.answer_tokens = scores[0].tokens();
  row.paraphrase_logprob = scores[1].log_prob, row.paraphrase_tokens = scores[1].tokens();
  row.token_logprob = scores[0].of_each, row.token_best = scores[0].vocabulary.best;
  row.token_mean = scores[0].vocabulary.mean, row.token_variance = scores[0].vocabulary.variance;
  if (scores.size() == 2) return row;  // no wrong answers
  row.wrong_logprob.emplace(), row.wrong_tokens.emplace();
  for (const auto& wrong : scores.subspan(2)) {
    row.wrong_logprob->push_back(wrong.log_prob);
    row.wrong_tokens->push_back(wrong.tokens());
  }
  return row;
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator&) {
  const auto p = records::from_json<UnlearnParameters>(task.parameters, task.name);
  const auto items = read_slice(p, bench);
  const size_t wrong_answers = items.front().perturbed_answers.size(), per_item = 2 + wrong_answers;
  SteeredTarget target(p.evaluation, bench);
  const TofuPrompt prompt(p.prompt);
  std::vector<SteeredTarget::Prompt> prompts;
  std::vector<SteeredTarget::Answer> answers;  // per item: true, paraphrased, wrong…
  for (const auto& item : items) {
    if (item.perturbed_answers.size() != wrong_answers)
      throw BadData({p.stem + ": " + item.question, "has another number of wrong answers than the set's first",
                     "every item of a set needs as many"});
    prompts.push_back(target.prompt(prompt.question_template(), prompt.question_template(), item.question));
    answers.push_back(to_answer(target.tokenizer(), prompt, item, item.answer, p.max_tokens));
    answers.back().with_vocabulary = true;
    answers.push_back(to_answer(target.tokenizer(), prompt, item, item.paraphrased_answer, p.max_tokens));
    const size_t first_wrong = answers.size();
    for (const auto& wrong : item.perturbed_answers)
      answers.push_back(to_answer(target.tokenizer(), prompt, item, wrong, p.max_tokens));
    if (p.compat == "authors")  // protocol, fault 1: all wrong answers get the delta's logits of the first
      for (size_t w = first_wrong + 1; w < answers.size(); ++w) answers[w].delta_tokens = answers[first_wrong].tokens;
  }
  const auto report = log_progress(task.name);
  const auto generated =
      target.generate(prompts, p.new_tokens, [&](const auto& g) { report(g.finished, g.total, ""); });
  const auto scores = target.score(answers, [&](const auto& s) { report(s.tokens, s.total, ""); });
  std::vector<UnlearnRow> rows;
  for (size_t s = 0; s < target.strengths().size(); ++s)
    for (size_t i = 0; i < items.size(); ++i) {
      rows.push_back(row_of(items[i], generated[s][i], std::span(scores[s]).subspan(i * per_item, per_item)));
      rows.back().alpha = target.strengths()[s];
      rows.back().item = p.slice.first + static_cast<int64_t>(i);
    }
  store::Unit unit;
  records::write_rows(unit, rows);
  target.add_cost(unit);
  return unit;
}

}  // namespace

const Stage unlearn_stage = {"unlearn", 2, Stage::Runs::models, plan, run};

}  // namespace cmc::stages
