// Win rates by a judge model (paper, Table 1 layout; the paper's judge is GPT-4).
#include <cmath>
#include <map>

#include "analysis/judge_runs.hpp"
#include "analysis/paper_tables.hpp"
#include "analysis/sample.hpp"
#include "analysis/section.hpp"
#include "analysis/strength_plot.hpp"
#include "pipeline/metrics/win_rate.hpp"

namespace cmc::analysis {
namespace {

using Judgements = std::map<int64_t, Judgement>;

template <class Value>
Figure percent(const Judgements& judgements, Value value) {
  std::vector<double> values;
  for (const auto& [item, judgement] : judgements) values.push_back(100 * value(judgement));
  return mean_figure(values);
}

// As alpaca_eval's leaderboard computes it, of verdicts that are a win, a loss or a tie.
Figure win_rate(const Judgements& judgements) {
  std::vector<double> preferences;
  for (const auto& [item, judgement] : judgements)
    if (std::isfinite(judgement.win())) preferences.push_back(1 + judgement.win());
  if (preferences.empty()) return {};
  const auto rate = metrics::win_rate(preferences);
  return {rate.win_rate, rate.standard_error, rate.n, unknown};
}

std::string opponent(const Judge& judge) {
  if (judge.against == "vanilla") return "what the target answers alone (vanilla)";
  return "the data file's outputs" + (judge.baseline == "reference" ? "" : " (" + judge.baseline + ")");
}

Table win_rates(const Judge& judge, const JudgeRuns& runs) {
  Table table{"win_rates", "Win rates, judged by " + judge.model, system_columns(), {}, {}};
  table.key_columns = table.columns.size();
  for (Column column : {Column{"n", "", 0}, Column{"Win rate, %", "", 1, "higher"},
                        Column{"Probability, %", "", 1, "higher"}, Column{"Same verdict, %", "", 1}})
    table.columns.push_back(std::move(column));
  for (const auto& [system, judgements] : runs) {
    const Figure rate = win_rate(judgements);
    auto row = system_cells(system);
    row.emplace_back(Counts{{rate.n}});
    row.emplace_back(rate);
    row.emplace_back(percent(judgements, [](const Judgement& j) { return j.better; }));
    row.emplace_back(percent(judgements, [](const Judgement& j) { return j.consistent(); }));
    table.rows.push_back(std::move(row));
  }
  table.errors = "Figures are means over the n judged prompts ± standard error; – was not measured.";
  table.notes = {"The judge, " + judge.model + ", reads the instruction and two outputs, the system's and " +
                     opponent(judge) +
                     ", in both orders, and says which is better, A or B. Its verdict is the "
                     "likelihood of A against B, mean of both orders, so that its bias to position cancels.",
                 "Win rate: prompts whose response is the likelier winner, a tie counts half. Probability: mean "
                 "likelihood that the response wins. Same verdict: prompts on which both orders agree.",
                 "The paper's Table 1 gives win rates judged by GPT-4 over text-davinci-003; another judge's do not "
                 "compare with them."};
  return table;
}

// Mean over prompts of each prompt's mean over systems, whose judgements of one prompt are not independent.
template <class Value>
Figure over_systems(const JudgeRuns& runs, Value value) {
  std::map<int64_t, std::vector<double>> by_item;
  for (const auto& [system, judgements] : runs)
    for (const auto& [item, judgement] : judgements) by_item[item].push_back(100 * value(judgement));
  std::vector<double> means;
  for (const auto& [item, values] : by_item) means.push_back(mean_figure(values).value);
  return mean_figure(means);
}

Table bias_table(const Judge& judge, const JudgeRuns& runs) {
  Table table{"judge",
              "The judge",
              {{"Judge"},
               {"Against"},
               {"n", "", 0},
               {"First preferred, %", "", 1},
               {"Same verdict, %", "", 1, "higher"},
               {"Any verdict, %", "", 1, "higher"}},
              {},
              {}};
  table.key_columns = 2;
  const Figure first = over_systems(runs, [](const Judgement& j) { return j.first_preferred(); });
  table.rows = {{judge.model, judge.baseline, Counts{{first.n}}, first,
                 over_systems(runs, [](const Judgement& j) { return j.consistent(); }),
                 over_systems(runs, [](const Judgement& j) { return j.any_verdict; })}};
  table.errors = "Figures are means over n prompts (of each: over all systems) ± standard error; – was not measured.";
  table.notes = {
      "First preferred: how likely the judge prefers the output it reads first, whichever that is; 50 is a "
      "judge without bias to position. Same verdict: comparisons on which both orders agree. Any verdict: "
      "how likely it says A or B at all."};
  return table;
}

PaperLayout layout_of(const Judge& judge, const store::Results& results) {
  const std::string by = ", judged by " + judge.model;
  return {{"win_rates_methods", "Win rates of the methods" + by},
          {"win_rates_deltas", "Win rates of the deltas" + by},
          {"win_rates_variants", "Win rates of variants of fusion and token map" + by},
          main_delta(results.header.experiment, "instruct")};
}

std::vector<Plot> over_strength(const Judge& judge, const JudgeRuns& runs) {
  return strength_plots(runs,
                        {"win_rate_strength",
                         "Win rate over strength",
                         "strength α",
                         "win rate, %",
                         "Win rates against " + opponent(judge) + ", judged by " + judge.model + ".",
                         {}},
                        win_rate);
}

}  // namespace

Section judge_section(const store::Results& results) {
  Section section{
      "judge",
      "Win rates by a local judge",
      "A language model compares each response with a baseline's, in both orders. How far to trust it, the table of "
      "the judge tells: a weak one prefers a place rather than a response.",
      {},
      {}};
  int judges = 0;
  for (const auto& [judge, runs] : collect_judgements(results)) {
    const std::string number = ++judges == 1 ? "" : "_" + std::to_string(judges);
    auto tables = paper_tables(win_rates(judge, runs), systems_of(runs), layout_of(judge, results));
    tables.push_back(bias_table(judge, runs));
    for (Table& table : tables) {
      table.id += number;
      section.tables.push_back(std::move(table));
    }
    for (Plot& plot : over_strength(judge, runs)) section.plots.push_back(std::move(plot));
  }
  return section;
}

}  // namespace cmc::analysis
