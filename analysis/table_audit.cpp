// What an auditor finds in an unlearned target: memorised answers, and whether they can be told from answers never
// read.
#include <algorithm>

#include "analysis/paper_tables.hpp"
#include "analysis/section.hpp"
#include "analysis/systems.hpp"
#include "analysis/tofu_sets.hpp"

namespace cmc::analysis {
namespace {

namespace metric = records::metric;

const std::string stage = "unlearn", together(records::tofu_sets_together);

// A figure of one set; of those that stand over all sets "together".
struct Shown {
  std::string set, group;
  std::string_view metric;
};

std::vector<Shown> shown_figures() {
  std::vector<Shown> list;
  for (const auto set : {metrics::TofuSet::forget, metrics::TofuSet::retain})
    for (const auto name : {metric::exact_memorization, metric::extraction_strength}) {
      const auto& shown = *std::ranges::find(tofu_sets, set, &ShownSet::set);
      list.push_back({shown.name(), shown.title, name});
    }
  for (const auto& attack : records::membership_metrics)
    list.push_back({together, "Forget against holdout", attack.auc});
  list.push_back({together, "Forget against holdout", metric::mia_reference});
  list.push_back({together, "Forget against holdout", metric::privleak});
  return list;
}

std::vector<System> audited(const Record& record) {
  std::vector<System> systems;
  const auto forget = std::string(metrics::name_of(metrics::TofuSet::forget));
  for (const System& system : record.systems(stage, forget))
    if (record.figure(system, forget, metric::exact_memorization).n > 0) systems.push_back(system);
  return systems;
}

Table audit_table(const Record& record, const std::vector<System>& systems) {
  Table table{"audit", "Audit of what was unlearned", system_columns(), {}, {}};
  table.key_columns = table.columns.size();
  table.columns.push_back({"n"});
  const auto shown = shown_figures();
  for (const auto& each : shown) {
    const bool is_of_first_look = each.metric == metric::exact_memorization ||
                                  each.metric == records::membership_metrics[0].auc || each.metric == metric::privleak;
    if (is_of_first_look) table.first.push_back(table.columns.size());
    table.columns.push_back(metric_column(records::metric_named(each.metric), each.group, each.group == "Forget"));
  }
  for (const System& system : systems) {
    auto row = system_cells(system);
    Counts counts;
    for (const auto set : {metrics::TofuSet::retain, metrics::TofuSet::forget, metrics::TofuSet::holdout})
      counts.n.push_back(record.items(system, std::string(metrics::name_of(set))));
    row.emplace_back(counts);
    for (const auto& each : shown) row.emplace_back(record.figure(system, each.set, each.metric));
    table.rows.push_back(std::move(row));
  }
  table.errors = record.has_seeds() ? errors_over_seeds(record)
                                    : "Means over items ± standard error, of an AUC DeLong's; – was not measured.";
  table.notes = {
      "n: items of Retain/Forget/holdout, a set that no model has read.",
      "Exact mem.: share of the true answer's tokens that are the most probable ones after the true text. Extraction: "
      "1 − k/L, where from token k of L on all of them are. The token that ends an answer is left out.",
      "MIA: the probability (AUC) that an answer of the forget set gets a lower score than one of the holdout set; "
      "0.5: they cannot be told apart, as it should be; below it, what was unlearned shows by being too improbable. "
      "Scores: "
      "mean loss; the same over the compressed length of the text; minus the mean of the lowest 40 % of the tokens' "
      "log-probabilities; the same in standard deviations over the vocabulary; the loss beyond that of the target that "
      "never saw the set (retain_only).",
      "PrivLeak: how far 1 − AUC of min-k is from that of the target that never saw the set (0.5 where there is none), "
      "in % of the latter. Names and formulas: open-unlearning (Dorna et al. 2025)."};
  return table;
}

}  // namespace

Section audit_section(const Record& record) {
  Section section{
      "audit",
      "Unlearning, audited",
      "What an auditor of the steered model finds: answers that it still completes word by word, and whether "
      "those that it shall forget can be told from answers that no model has read. The target itself stays as "
      "it was: without the delta (vanilla) all is there.",
      {},
      {}};
  const auto systems = audited(record);
  if (systems.empty()) return section;
  section.tables = paper_tables(audit_table(record, systems), systems,
                                {{"audit_methods", "Audit of the methods"},
                                 {"audit_deltas", "Audit of the deltas"},
                                 {"audit_variants", "Audit: variants of fusion and token map"},
                                 main_delta(record, stage)});
  return section;
}

}  // namespace cmc::analysis
