#include "analysis/judge_runs.hpp"

#include <cmath>

#include "analysis/unit_values.hpp"

namespace cmc::analysis {
namespace {

void take_unit(const store::Unit& unit, JudgeRuns& runs) {
  const auto better = numbers(unit, "probability"), first = numbers(unit, "probability_first"),
             second = numbers(unit, "probability_second"), any = numbers(unit, "verdict_probability");
  for (size_t row = 0; row < better.size(); ++row)
    runs[system_of(unit, row)][item_of(unit, row)] = {at(better, row), at(first, row), at(second, row), at(any, row)};
}

}  // namespace

double Judgement::win() const {
  return std::isnan(better) ? unknown : better > 0.5 ? 1 : better < 0.5 ? 0 : 0.5;
}

double Judgement::consistent() const {
  if (std::isnan(shown_first) || std::isnan(shown_second)) return unknown;
  return (shown_first > 0.5) == (shown_second > 0.5) && (shown_first < 0.5) == (shown_second < 0.5) ? 1 : 0;
}

std::map<Judge, JudgeRuns> collect_judgements(const store::Results& results) {
  std::map<Judge, JudgeRuns> judges;
  for (const auto& unit : results.units)
    if (unit.stage == "judge")
      take_unit(unit,
                judges[{text_of(unit.task, "judge"), text_of(unit.task, "against"), text_of(unit.task, "baseline")}]);
  const std::string model = experiment_value(results.header.experiment, "judge.model");
  if (judges.empty() && !model.empty()) {
    const std::string against = experiment_value(results.header.experiment, "judge.against");
    judges[{model, against, against}];
  }
  for (auto& [judge, runs] : judges) {
    add_expected(results, "instruct", runs);
    if (judge.against == "vanilla") std::erase_if(runs, [](const auto& run) { return run.first.is_vanilla(); });
  }
  return judges;
}

}  // namespace cmc::analysis
