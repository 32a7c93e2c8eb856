// AlpacaEval without a judge (paper, Table 1 layout): likelihood of the reference answers, and how responses behave.
#include <cmath>
#include <set>

#include "analysis/instruct_runs.hpp"
#include "analysis/sample.hpp"
#include "analysis/section.hpp"
#include "pipeline/metrics/win_rate.hpp"

namespace cmc::analysis {
namespace {

using Answers = std::map<int64_t, InstructAnswer>;

Figure mean_of(const Answers& answers, double InstructAnswer::*field, double scale = 1) {
  std::vector<double> values;
  for (const auto& [item, answer] : answers) values.push_back(answer.*field * scale);
  return mean_figure(values);
}

// How often `system` finds the reference answer likelier than `vanilla` does, over the prompts both answered (percent).
Figure win_share(const Answers& system, const Answers& vanilla) {
  std::vector<double> preferences;
  for (const auto& [item, answer] : system) {
    const auto other = vanilla.find(item);
    if (other == vanilla.end()) continue;
    const double difference = answer.reference_per_token - other->second.reference_per_token;
    if (std::isfinite(difference)) preferences.push_back(difference > 0 ? 2 : difference < 0 ? 1 : 1.5);
  }
  if (preferences.empty()) return {};
  const auto rate = metrics::win_rate(preferences);
  return {rate.win_rate, rate.standard_error, rate.n, unknown};
}

Table main_table(const InstructRuns& runs) {
  Table table{"instruct", "Instruction following on AlpacaEval prompts", system_columns(), {}, {}};
  for (const Column& column :
       {Column{"n", "", 0}, Column{"Ref. nat/token", "", 3, "higher"}, Column{"Wins, %", "", 1, "higher"},
        Column{"Stopped, %", "", 1}, Column{"Repetition, %", "", 1, "lower"}, Column{"Length, tokens", "", 1}})
    table.columns.push_back(column);
  for (const auto& [system, answers] : runs) {
    auto row = system_cells(system);
    row.push_back(answers.empty() ? Figure{} : plain_figure(static_cast<double>(answers.size())));
    row.push_back(mean_of(answers, &InstructAnswer::reference_per_token));
    const auto vanilla = runs.find(system.vanilla());
    row.push_back(system.is_vanilla() || vanilla == runs.end() ? Figure{} : win_share(answers, vanilla->second));
    row.push_back(mean_of(answers, &InstructAnswer::stopped, 100));
    row.push_back(mean_of(answers, &InstructAnswer::repetition, 100));
    row.push_back(mean_of(answers, &InstructAnswer::length));
    table.rows.push_back(std::move(row));
  }
  table.notes = {
      "Figures are means over n prompts ± standard error; – was not measured.",
      "Ref.: log-probability of the reference answer per token (nat), mean over prompts. Wins: share of prompts "
      "whose reference the "
      "system finds likelier than its target alone does; a tie counts half.",
      "Stopped: responses that ended by themselves within the length limit. Repetition: 4-grams of words that occurred "
      "before in the response.",
      "The paper's Table 1 gives win rates judged by GPT-4 over text-davinci-003; no figure here compares with them."};
  return table;
}

// Over alpha, vanilla at 0: one curve for each target and delta.
Plot strength_plot(const InstructRuns& runs) {
  Plot plot{"instruct_strength",
            "Likelihood of the reference answer over strength",
            "strength α",
            "nat per token",
            "Mean log-probability per token of the AlpacaEval reference answers, bars: standard error. α = 0 is the "
            "target alone. "
            "The paper's Figure 4 shows win rates over α.",
            {}};
  std::map<std::tuple<std::string, std::string, std::string, std::string>, Series> curves;
  const auto add = [](Series& series, double alpha, const Figure& figure) {
    series.x.push_back(alpha), series.y.push_back(figure.value), series.error.push_back(figure.standard_error);
  };
  for (const auto& [system, answers] : runs) {
    if (system.is_vanilla() || answers.empty()) continue;
    auto& series = curves[{system.target, system.method, system.delta, system.mode}];
    if (series.x.empty()) {
      series.name = system.target + " + " + system.delta + (system.mode.empty() ? "" : " (" + system.mode + ")");
      if (const auto vanilla = runs.find(system.vanilla()); vanilla != runs.end() && !vanilla->second.empty())
        add(series, 0, mean_of(vanilla->second, &InstructAnswer::reference_per_token));
    }
    add(series, system.alpha, mean_of(answers, &InstructAnswer::reference_per_token));
  }
  for (auto& [name, series] : curves) plot.series.push_back(std::move(series));
  return plot;
}

// The first prompts of the file, with what every system answered.
std::vector<Example> examples(const InstructRuns& runs) {
  constexpr size_t shown = 3;
  std::set<int64_t> items;
  for (const auto& [system, answers] : runs)
    for (const auto& [item, answer] : answers) items.insert(item);
  std::vector<Example> list;
  for (const int64_t item : items) {
    if (list.size() == shown) break;
    Example example;
    for (const auto& [system, answers] : runs) {
      const auto answer = answers.find(item);
      if (answer == answers.end()) continue;
      example.title = answer->second.prompt;
      example.texts.emplace_back(describe(system), answer->second.response);
    }
    list.push_back(std::move(example));
  }
  return list;
}

}  // namespace

Section instruct_section(const store::Results& results) {
  const InstructRuns runs = collect_instruct(results);
  Section section{
      "instruct",
      "Instruction following",
      "Each target answers AlpacaEval prompts alone (vanilla) and steered by the delta model at several strengths.",
      {},
      {}};
  if (runs.empty()) return section;
  section.tables = {main_table(runs)};
  Plot plot = strength_plot(runs);
  if (!plot.series.empty()) section.plots = {std::move(plot)};
  section.examples = examples(runs);
  return section;
}

}  // namespace cmc::analysis
