#include "analysis/tofu_runs.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "analysis/unit_values.hpp"

namespace cmc::analysis {
namespace {

std::optional<metrics::TofuSet> set_named(const std::string& name) {
  for (const auto set : tofu_sets)
    if (metrics::name_of(set) == name) return set;
  return std::nullopt;
}

// Mean negative log-probability per token. Rounding may leave a certain answer a hair above probability 1.
double loss(double log_prob, double tokens) {
  return tokens > 0 ? std::max(0.0, -log_prob / tokens) : unknown;
}

void take_unit(const store::Unit& unit, metrics::TofuSet set, TofuRuns& runs) {
  const auto rouge1 = numbers(unit, "rouge1_recall"), rouge_l = numbers(unit, "rouge_l_recall");
  const auto answer = numbers(unit, "answer_logprob"), answer_tokens = numbers(unit, "answer_tokens");
  const auto paraphrase = numbers(unit, "paraphrase_logprob"), paraphrase_tokens = numbers(unit, "paraphrase_tokens");
  const auto wrong = numbers(unit, "wrong_logprob"), wrong_tokens = numbers(unit, "wrong_tokens");
  const auto questions = texts(unit, "question"), answers = texts(unit, "answer"), generated = texts(unit, "generated");
  const size_t rows = std::max(rouge_l.size(), answer.size());
  const size_t wrong_each = rows == 0 ? 0 : wrong.size() / rows;
  for (size_t row = 0; row < rows; ++row) {
    TofuAnswer item{at(rouge1, row),  at(rouge_l, row),  false, {}, at(questions, row),
                    at(answers, row), at(generated, row)};
    item.losses.answer = loss(at(answer, row), at(answer_tokens, row));
    item.losses.paraphrased = loss(at(paraphrase, row), at(paraphrase_tokens, row));
    item.scored = wrong_each > 0 && std::isfinite(item.losses.answer) && std::isfinite(item.losses.paraphrased);
    for (size_t w = 0; w < wrong_each; ++w) {
      item.losses.wrong.push_back(loss(at(wrong, row * wrong_each + w), at(wrong_tokens, row * wrong_each + w)));
      item.scored = item.scored && std::isfinite(item.losses.wrong.back());
    }
    runs[system_of(unit, row)].sets[set][item_of(unit, row)] = std::move(item);
  }
}

}  // namespace

const TofuItems& TofuRun::items(metrics::TofuSet set) const {
  static const TofuItems none;
  const auto found = sets.find(set);
  return found == sets.end() ? none : found->second;
}

TofuRuns collect_tofu(const store::Results& results) {
  TofuRuns runs;
  for (const auto& unit : results.units) {
    if (unit.stage != "unlearn") continue;
    if (const auto set = set_named(text_of(unit.task, "set"))) take_unit(unit, *set, runs);
  }
  add_expected(results, "unlearn", runs);
  return runs;
}

std::string title_of(metrics::TofuSet set) {
  switch (set) {
    case metrics::TofuSet::real_authors:
      return "Real Authors";
    case metrics::TofuSet::world_facts:
      return "World Facts";
    case metrics::TofuSet::retain:
      return "Retain";
    case metrics::TofuSet::forget:
      return "Forget";
  }
  return "";
}

std::vector<double> rouge_l_values(const TofuItems& items) {
  std::vector<double> values;
  for (const auto& [index, item] : items) values.push_back(item.rouge_l);
  return values;
}

std::vector<double> probability_values(const TofuItems& items, metrics::TofuSet set) {
  std::vector<double> values;
  for (const auto& [index, item] : items)
    values.push_back(item.scored ? metrics::answer_probability(item.losses, set) : unknown);
  return values;
}

std::vector<double> truth_ratio_values(const TofuItems& items, metrics::TofuSet set, metrics::TruthRatioMean mean) {
  std::vector<double> values;
  for (const auto& [index, item] : items)
    values.push_back(item.scored ? metrics::truth_ratio_score(metrics::truth_ratio(item.losses, mean), set) : unknown);
  return values;
}

}  // namespace cmc::analysis
