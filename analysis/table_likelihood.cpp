// How probable answers of the instruction data are that no training read.
#include "analysis/record.hpp"
#include "analysis/section.hpp"
#include "analysis/strength_plot.hpp"
#include "analysis/systems.hpp"

namespace cmc::analysis {
namespace {

const std::string stage = "likelihood";

Table table_of(const Record& record, const std::string& id, const std::string& title, const std::string& set) {
  Table table{id, title, system_columns(), {}, {}};
  table.key_columns = table.columns.size();
  table.columns.push_back({"n", "", 0});
  for (const auto& metric : records::likelihood_metrics()) table.columns.push_back(metric_column(metric.about));
  for (const System& system : record.systems(stage, set)) {
    auto row = system_cells(system);
    row.emplace_back(Counts{{record.items(system, set)}});
    for (const auto& metric : records::likelihood_metrics())
      row.emplace_back(record.figure(system, set, metric.about.name));
    table.rows.push_back(std::move(row));
  }
  table.errors =
      record.has_seeds() ? errors_over_seeds(record) : "Means over n pairs ± standard error; – was not measured.";
  return table;
}

}  // namespace

Section likelihood_section(const Record& record) {
  Section section{
      stage, "What the training promises", "How probable each system finds answers that no training read.", {}, {}};
  using records::UnreadPart;
  const std::string unread = records::unread_set(name_of(UnreadPart::unread)),
                    choice = records::unread_set(name_of(UnreadPart::choice));
  for (auto table :
       {table_of(record, "likelihood", "Answers of the instruction data that no training read", unread),
        table_of(record, "likelihood_choice", "Other such answers, by which strengths are chosen", choice)})
    if (!table.rows.empty()) section.tables.push_back(std::move(table));
  if (section.tables.empty()) return section;
  section.tables.front().notes = {
      "Pairs of the data file after those that are trained on. Answer: mean log-probability per token, the end token "
      "counted; its text: without that; its end: of the end token after the whole answer."};
  section.plots = strength_plots(record, stage, unread, records::metric::answer_per_token,
                                 {"likelihood_strength",
                                  "Likelihood of unread answers over strength",
                                  "strength α",
                                  "nat per token",
                                  "Mean log-probability per token.",
                                  {}});
  return section;
}

}  // namespace cmc::analysis
