// TOFU (paper, Table 2 layout, and Figure 4's curves over the strength).
#include <algorithm>
#include <map>
#include <set>

#include "analysis/paper_tables.hpp"
#include "analysis/record.hpp"
#include "analysis/section.hpp"
#include "analysis/strength_plot.hpp"
#include "analysis/systems.hpp"
#include "analysis/tofu_sets.hpp"

namespace cmc::analysis {
namespace {

namespace metric = records::metric;
using records::TruthRatioMetrics;

const std::string stage = "unlearn", together(records::tofu_sets_together);

// On any of the sets, measured or planned.
std::vector<System> systems_of(const Record& record) {
  std::set<System> systems;
  for (const auto& shown : tofu_sets)
    for (const System& system : record.systems(stage, shown.name())) systems.insert(system);
  return {systems.begin(), systems.end()};
}

Counts counts(const Record& record, const System& system) {
  Counts counts;
  for (const auto& shown : tofu_sets) counts.n.push_back(record.items(system, shown.name()));
  return counts;
}

bool measured(const Record& record, const System& system) {
  return std::ranges::any_of(counts(record, system).n, [](int64_t n) { return n > 0; });
}

std::vector<Column> columns(const TruthRatioMetrics& names) {
  std::vector<Column> list = system_columns();
  list.push_back({"n"});
  for (const auto& shown : tofu_sets)
    for (const auto name : {metric::rouge_l, metric::probability, names.score})
      list.push_back(metric_column(records::metric_named(name), shown.title, shown.forget()));
  for (const auto name : {names.utility, names.quality}) list.push_back(metric_column(records::metric_named(name)));
  // Both means of the truth ratio stand under one name, each in its own table.
  const auto plain = [](Column& column) {
    column.header = column.header.substr(0, column.header.find(" (arithmetic)"));
  };
  std::ranges::for_each(list, plain);
  return list;
}

// What shall be forgotten and what shall stay, by the measures that need no definition.
bool is_of_first_look(const Column& column, const TruthRatioMetrics& names) {
  const bool is_truth_ratio = column.header == metric_column(records::metric_named(names.score)).header;
  const auto is_shown = [&](const ShownSet& set) {
    return column.group == set.title && (set.forget() || set.set == metrics::TofuSet::retain);
  };
  return !is_truth_ratio && std::ranges::any_of(tofu_sets, is_shown);
}

Table main_table(const Record& record, const std::vector<System>& systems, const TruthRatioMetrics& names) {
  const bool geometric = names.mean == metrics::TruthRatioMean::geometric;
  Table table{geometric ? "tofu" : "tofu_arithmetic",
              std::string("TOFU after unlearning (truth ratio: ") + (geometric ? "geometric" : "arithmetic") + " mean)",
              columns(names),
              {},
              {}};
  table.key_columns = system_columns().size();
  if (!geometric) table.shown = Table::Shown::folded;
  for (size_t c = 0; c < table.columns.size(); ++c)
    if (is_of_first_look(table.columns[c], names)) table.first.push_back(c);
  for (const System& system : systems) {
    auto row = system_cells(system);
    row.emplace_back(counts(record, system));
    for (const auto& shown : tofu_sets)
      for (const auto name : {metric::rouge_l, metric::probability, names.score})
        row.push_back(record.figure(system, shown.name(), name));
    for (const auto name : {names.utility, names.quality}) row.push_back(record.figure(system, together, name));
    table.rows.push_back(std::move(row));
  }
  table.errors =
      record.has_seeds()
          ? errors_over_seeds(record)
          : "Means over n items ± standard error, of Utility by bootstrap (1,000 resamples); – was not measured.";
  table.notes = {
      "n: items of Real Authors/World Facts/Retain/Forget.",
      "ROUGE-L: recall of the generated answer, Porter stemmer. Prob.: P(answer) = exp(−mean loss); on Real Authors "
      "and World Facts its share "
      "among true and wrong answers.",
      std::string("Truth R.: R = ") + (geometric ? "exp(mean log P(wrong))" : "mean P(wrong)") +
          " / P(paraphrase); Forget mean(min(R, 1/R)), the others mean(max(0, 1 − R)).",
      "Utility: harmonic mean of the nine figures that are not Forget's. "
      "Forget q.: p-value of the "
      "Kolmogorov-Smirnov test of R on Forget against the same target trained without that set (method retain_only)."};
  return table;
}

// ROUGE-L of each set over alpha, one plot per target and method with the first delta; vanilla at 0. Others stand in
// the table of deltas.
std::vector<Plot> strength_plots(const Record& record, const std::vector<System>& systems) {
  std::map<System, Plot> plots;
  const std::string main = main_delta(record, stage);
  const auto add = [&](Plot& plot, double alpha, const System& system) {
    for (size_t s = 0; s < std::size(tofu_sets); ++s)
      add_point(plot.series[s], alpha, record.figure(system, tofu_sets[s].name(), metric::rouge_l));
  };
  for (const System& system : systems) {
    if (!system.adds_delta() || !measured(record, system)) continue;
    if (!main.empty() && system.delta != main) continue;
    auto& plot = plots[system.without_strength()];
    if (plot.series.empty()) {
      plot = {
          "tofu_strength",
          "TOFU: " + describe_curve(system),
          "strength α",
          "ROUGE-L recall",
          "Mean ROUGE-L recall of the generated answers by set, n = " + show(counts(record, system), {}) +
              " (Real Authors/World Facts/Retain/Forget). α = 0 is the target alone. Layout of the paper's Figure 4.",
          {},
          bars_of(record)};
      for (const auto& shown : tofu_sets) plot.series.push_back({shown.title, {}, {}});
      if (measured(record, system.vanilla())) add(plot, 0, system.vanilla());
    }
    add(plot, system.strength, system);
  }
  std::vector<Plot> list;
  for (auto& [system, plot] : plots) list.push_back(std::move(plot));
  keep_longest(list, [](const Plot& plot) { return plot.series.front().x.size(); });
  return list;
}

// The first question of two sets, with what every system answered (in the first seed).
std::vector<Example> examples(const Record& record) {
  std::map<std::string, std::map<System, records::UnlearnRow>> first;  // by set
  for (const auto* unit : record.units(stage)) {
    const auto labels = records::labels_of(unit->stage, unit->task, records::where_of(*unit));
    const auto seed = record.seed_of(*unit);
    if (record.has_seeds() && seed && seed != record.seeds().front()) continue;
    for (auto& row : records::read_rows<records::UnlearnRow>(*unit)) {
      System system = labels.system.without_seed();
      system.strength = system.adds_delta() ? row.alpha : 0;
      const auto [known, fresh] = first[labels.set].try_emplace(system, row);
      if (!fresh && row.item <= known->second.item) known->second = std::move(row);
    }
  }
  std::vector<Example> list;
  for (const auto& shown : tofu_sets) {
    if (shown.set != metrics::TofuSet::forget && shown.set != metrics::TofuSet::retain) continue;
    std::map<std::string, Example> by_question;
    for (const auto& [system, row] : first[shown.name()]) {
      Example& example = by_question[row.question];
      if (example.texts.empty()) {
        example.title = first_seed(record) + shown.title + ": " + row.question;
        example.texts.emplace_back("true answer", row.answer);
      }
      example.texts.emplace_back(describe(system), row.generated);
    }
    for (auto& [question, example] : by_question) list.push_back(std::move(example));
  }
  std::ranges::stable_sort(list, {}, &Example::title);
  return list;
}

}  // namespace

Section tofu_section(const Record& record) {
  Section section{"tofu",
                  "Unlearning (TOFU)",
                  "What each target still knows of the authors to forget, and of what it should keep, alone and "
                  "steered by the unlearning delta.",
                  {},
                  {}};
  const auto systems = systems_of(record);
  if (systems.empty()) return section;
  section.tables = paper_tables(main_table(record, systems, records::truth_ratio_metrics[0]), systems,
                                {{"table2", "Unlearning (TOFU), as in the paper's Table 2"},
                                 {"table2_deltas", "Unlearning deltas compared"},
                                 {"table2_variants", "Unlearning: variants of fusion and token map"},
                                 main_delta(record, stage)});
  section.tables.push_back(main_table(record, systems, records::truth_ratio_metrics[1]));
  section.plots = strength_plots(record, systems);
  section.examples = examples(record);
  return section;
}

}  // namespace cmc::analysis
