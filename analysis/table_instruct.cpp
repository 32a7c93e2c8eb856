// Instructions without a judge (paper, Table 1 layout): what rules tell of responses, and the likelihood of references.
#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <set>

#include "analysis/instruct_runs.hpp"
#include "analysis/paper_tables.hpp"
#include "analysis/sample.hpp"
#include "analysis/section.hpp"
#include "analysis/strength_plot.hpp"
#include "pipeline/metrics/win_rate.hpp"

namespace cmc::analysis {
namespace {

using Answers = std::map<int64_t, InstructAnswer>;

Figure mean_of(const Answers& answers, const std::function<double(const InstructAnswer&)>& value) {
  std::vector<double> values;
  for (const auto& [item, answer] : answers) values.push_back(value(answer));
  return mean_figure(values);
}

Figure percent(const Answers& answers, const std::function<double(const InstructAnswer&)>& value) {
  return mean_of(answers, [&](const auto& answer) { return 100 * value(answer); });
}

bool measured(const InstructRuns& runs, const std::function<double(const InstructAnswer&)>& value) {
  return std::ranges::any_of(runs, [&](const auto& run) {
    return std::ranges::any_of(run.second, [&](const auto& answer) { return std::isfinite(value(answer.second)); });
  });
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

// One column: what to show of a system's answers; `vanilla`: of its target alone, null where it has none.
struct Measure {
  Column column;
  std::function<Figure(const Answers& answers, const Answers* vanilla)> figure;
};

// Right form, right fact, and all at once, as far as the prompts allow to tell.
std::vector<Measure> rule_measures(const InstructRuns& runs) {
  std::vector<Measure> list;
  const auto add = [&](const char* header, double (*value)(const InstructAnswer&)) {
    if (measured(runs, value))
      list.push_back(
          {{header, "", 1, "higher"}, [value](const Answers& a, const Answers*) { return percent(a, value); }});
  };
  add("Followed, %", [](const InstructAnswer& a) { return a.followed; });
  add("Right fact, %", [](const InstructAnswer& a) { return a.fact; });
  add("Strict, %", [](const InstructAnswer& a) { return a.strict(); });
  return list;
}

std::vector<Measure> health_measures() {
  return {
      {{"Stopped, %", "", 1}, [](const Answers& a, const Answers*) { return percent(a, &InstructAnswer::stopped); }},
      {{"Repetition, %", "", 1, "lower"},
       [](const Answers& a, const Answers*) { return percent(a, &InstructAnswer::repetition); }},
      {{"Length, tokens", "", 1},
       [](const Answers& a, const Answers*) { return mean_of(a, &InstructAnswer::length); }}};
}

std::vector<Measure> likelihood_measures() {
  return {{{"Ref. nat/token", "", 3, "higher"},
           [](const Answers& a, const Answers*) { return mean_of(a, &InstructAnswer::reference_per_token); }},
          {{"Wins, %", "", 1, "higher"},
           [](const Answers& a, const Answers* vanilla) { return vanilla ? win_share(a, *vanilla) : Figure{}; }}};
}

void fill(Table& table, const InstructRuns& runs, const std::vector<std::vector<Measure>>& measures) {
  table.columns = system_columns();
  table.key_columns = table.columns.size();
  table.columns.push_back({"n", "", 0});
  for (const auto& group : measures)
    for (const Measure& measure : group) table.columns.push_back(measure.column);
  for (const auto& [system, answers] : runs) {
    auto row = system_cells(system);
    row.emplace_back(Counts{{static_cast<int64_t>(answers.size())}});
    const auto vanilla = system.is_vanilla() ? runs.end() : runs.find(system.vanilla());
    for (const auto& group : measures)
      for (const Measure& measure : group)
        row.push_back(measure.figure(answers, vanilla == runs.end() ? nullptr : &vanilla->second));
    table.rows.push_back(std::move(row));
  }
  table.errors = "Figures are means over n prompts ± standard error; – was not measured.";
}

constexpr char strict_note[] =
    "Followed: responses of the form their prompt asks for. Right fact: responses that name it. Strict: both, and "
    "ended by themselves.";

Table main_table(const InstructRuns& runs) {
  Table table{"instruct", "Instruction following", {}, {}, {}};
  fill(table, runs, {rule_measures(runs), likelihood_measures(), health_measures()});
  if (!rule_measures(runs).empty()) table.notes = {strict_note};
  for (
      const char* note :
      {"Ref.: log-probability of the reference answer per token (nat), mean over prompts. Wins: share of prompts whose "
       "reference the system finds likelier than its target alone does; a tie counts half.",
       "Stopped: responses that ended by themselves within the length limit. Repetition: 4-grams of words that "
       "occurred before in the response.",
       "The paper's Table 1 gives win rates judged by GPT-4 over text-davinci-003; no figure here compares with them."})
    table.notes.emplace_back(note);
  return table;
}

Table checked_table(const InstructRuns& runs) {
  Table table{"instruct_checked", "Instructions that a rule can check", {}, {}, {}};
  fill(table, runs, {rule_measures(runs), health_measures()});
  table.notes = {
      "Followed: responses that pass the rule their prompt asks for (a number of bullet points, a first word, "
      "…; after IFEval, Zhou et al. 2023)."};
  return table;
}

std::vector<Plot> figure_4(const InstructRuns& runs) {
  std::vector<Plot> plots;
  const auto add = [&](std::vector<Plot> more) { std::ranges::move(more, std::back_inserter(plots)); };
  const auto likelihood = [](const Answers& a) { return mean_of(a, &InstructAnswer::reference_per_token); };
  const auto strict = [](const Answers& a) { return percent(a, &InstructAnswer::strict); };
  if (measured(runs, &InstructAnswer::strict))
    add(strength_plots(runs,
                       {"instruct_strict_strength",
                        "Strictly right answers over strength",
                        "strength α",
                        "strict, %",
                        "Responses of the right form, with the right fact, that end.",
                        {}},
                       strict));
  if (measured(runs, &InstructAnswer::reference_per_token))
    add(strength_plots(runs,
                       {"instruct_strength",
                        "Likelihood of the reference answer over strength",
                        "strength α",
                        "nat per token",
                        "Mean log-probability per token of the reference answers.",
                        {}},
                       likelihood));
  return plots;
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
  const InstructRuns runs = collect_instruct(results, "plain"), checked = collect_instruct(results, "checked");
  Section section{
      "instruct",
      "Instruction following",
      "Each target answers the prompts alone (vanilla), steered by the delta model, and by each method it is compared "
      "with.",
      {},
      {}};
  if (runs.empty()) return section;
  section.tables =
      paper_tables(main_table(runs), systems_of(runs),
                   {{"table1", "Instruction following, as in the paper's Table 1"},
                    {"table3", "Deltas compared: sizes as in the paper's Table 3, epochs as in its Figure 4"},
                    {"table4", "Variants of fusion and token map, as in the paper's Table 4"},
                    main_delta(results.header.experiment, "instruct")});
  if (measured(checked, &InstructAnswer::followed)) section.tables.push_back(checked_table(checked));
  section.plots = figure_4(runs);
  section.examples = examples(runs);
  return section;
}

}  // namespace cmc::analysis
