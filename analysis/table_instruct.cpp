// Instructions without a judge (paper, Table 1 layout): what rules tell of responses, and the likelihood of references.
#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "analysis/paper_tables.hpp"
#include "analysis/record.hpp"
#include "analysis/section.hpp"
#include "analysis/strength_plot.hpp"
#include "analysis/systems.hpp"

namespace cmc::analysis {
namespace {

namespace metric = records::metric;

const std::string stage = "instruct", plain(name_of(records::Prompts::plain)),
                  checked(name_of(records::Prompts::checked));

bool is_rule(std::string_view name) {
  return name == metric::followed || name == metric::fact || name == metric::strict;
}

// Right form, right fact, and all at once, as far as the prompts allow to tell; of plain prompts the likelihood of the
// reference; then what else is measured.
std::vector<std::string_view> shown_metrics(const Record& record, const std::string& set) {
  std::vector<std::string_view> rules, others;
  for (const auto& each : records::instruct_metrics()) {
    const auto name = each.about.name;
    if (is_rule(name) && record.summary().measured(set, name)) rules.push_back(name);
    const bool is_read_by_others = name == metric::response_characters || name == metric::reference_characters;
    if (!is_rule(name) && name != metric::reference && !is_read_by_others) others.push_back(name);
  }
  if (set == plain) rules.insert(rules.end(), {metric::reference, metric::wins});
  rules.insert(rules.end(), others.begin(), others.end());
  return rules;
}

void fill(Table& table, const Record& record, const std::string& set, const std::vector<System>& systems) {
  const auto metrics = shown_metrics(record, set);
  table.columns = system_columns();
  table.key_columns = table.columns.size();
  table.columns.push_back({"n", "", 0});
  for (const auto name : metrics) table.columns.push_back(metric_column(records::metric_named(name)));
  for (const System& system : systems) {
    auto row = system_cells(system);
    row.emplace_back(Counts{{record.items(system, set)}});
    for (const auto name : metrics) row.emplace_back(record.figure(system, set, name));
    table.rows.push_back(std::move(row));
  }
  table.errors = record.has_seeds() ? errors_over_seeds(record)
                                    : "Figures are means over n prompts ± standard error; – was not measured.";
}

constexpr char strict_note[] =
    "Followed: responses of the form their prompt asks for. Right fact: responses that name it. Strict: both, and "
    "ended by themselves.";

Table main_table(const Record& record, const std::vector<System>& systems) {
  Table table{"instruct", "Instruction following", {}, {}, {}};
  fill(table, record, plain, systems);
  if (record.summary().measured(plain, metric::followed) || record.summary().measured(plain, metric::fact))
    table.notes = {strict_note};
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

Table checked_table(const Record& record) {
  Table table{"instruct_checked", "Instructions that a rule can check", {}, {}, {}};
  fill(table, record, checked, record.systems(stage, checked));
  table.notes = {
      "Followed: responses that pass the rule their prompt asks for (a number of bullet points, a first word, "
      "…; after IFEval, Zhou et al. 2023)."};
  return table;
}

std::vector<Plot> figure_4(const Record& record) {
  std::vector<Plot> plots;
  const auto add = [&](std::string_view name, const Plot& blank) {
    if (record.summary().measured(plain, name))
      std::ranges::move(strength_plots(record, stage, plain, name, blank), std::back_inserter(plots));
  };
  add(metric::strict, {"instruct_strict_strength",
                       "Strictly right answers over strength",
                       "strength α",
                       "strict, %",
                       "Responses of the right form, with the right fact, that end.",
                       {}});
  add(metric::reference, {"instruct_strength",
                          "Likelihood of the reference answer over strength",
                          "strength α",
                          "nat per token",
                          "Mean log-probability per token of the reference answers.",
                          {}});
  return plots;
}

// The first prompts of the file, with what every system answered (in the first seed).
std::vector<Example> examples(const Record& record) {
  constexpr size_t shown = 3;
  std::map<int64_t, std::map<System, records::InstructRow>> answers;
  for (const auto* unit : record.units(stage)) {
    const auto labels = records::labels_of(unit->stage, unit->task, records::where_of(*unit));
    const auto seed = record.seed_of(*unit);
    if (labels.set != plain || (record.has_seeds() && seed && seed != record.seeds().front())) continue;
    for (auto& row : records::read_rows<records::InstructRow>(*unit)) {
      if (answers.size() >= shown && row.item > answers.rbegin()->first) continue;
      System system = labels.system.without_seed();
      system.strength = system.adds_delta() ? row.alpha : 0;
      answers[row.item][system] = std::move(row);
      if (answers.size() > shown) answers.erase(std::prev(answers.end()));
    }
  }
  std::vector<Example> list;
  for (const auto& [item, by_system] : answers) {
    Example& example = list.emplace_back();
    for (const auto& [system, row] : by_system) {
      example.title = first_seed(record) + row.prompt;
      example.texts.emplace_back(describe(system), row.response);
    }
  }
  return list;
}

}  // namespace

Section instruct_section(const Record& record) {
  Section section{
      "instruct",
      "Instruction following",
      "Each target answers the prompts alone (vanilla), steered by the delta model, and by each method it is compared "
      "with.",
      {},
      {}};
  const auto systems = record.systems(stage, plain);
  if (systems.empty()) return section;
  section.tables =
      paper_tables(main_table(record, systems), systems,
                   {{"table1", "Instruction following, as in the paper's Table 1"},
                    {"table3", "Deltas compared: sizes as in the paper's Table 3, epochs as in its Figure 4"},
                    {"table4", "Variants of fusion and token map, as in the paper's Table 4"},
                    main_delta(record, stage)});
  if (record.summary().measured(checked, metric::followed)) section.tables.push_back(checked_table(record));
  section.plots = figure_4(record);
  section.examples = examples(record);
  return section;
}

}  // namespace cmc::analysis
