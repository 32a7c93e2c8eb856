// Coverage of the token maps (paper, section 3.3).
#include "analysis/section.hpp"
#include "analysis/systems.hpp"

namespace cmc::analysis {
namespace {

struct Coverage {
  double exact = unknown, inexact = unknown, unmapped = unknown;
};

// The published Mistral-to-Llama-2 map's counts, beside ours where the same map was made.
Coverage published(const std::string& base, const std::string& delta, bool as_published) {
  const bool same = base.find("istral") != std::string::npos && delta.find("lama") != std::string::npos && as_published;
  return same ? Coverage{24185, 6474, 1341} : Coverage{};
}

}  // namespace

Section token_map_section(const Record& record) {
  Section section{
      "token_map", "Token maps", "How a target's vocabulary finds the delta model's tokens (PM-MinED).", {}, {}};
  Table table{"token_map",
              "Coverage of the token maps",
              {{"Target vocabulary"}, {"Delta vocabulary"}, {"Method"}},
              {},
              {"Exact: an identical token. Inexact: the prefix-related token with the smallest edit distance. Unmapped "
               "tokens get no shift."}};
  table.key_columns = table.columns.size();
  for (const auto& metric : records::coverage_metrics()) table.columns.push_back(metric_column(metric.about));
  for (const auto& name : {std::string(records::map_set), std::string(records::published_map_set)})
    for (const System& system : record.systems("token_map", name)) {
      const bool as_published = name == records::published_map_set;
      const Coverage paper = published(system.target, system.delta, as_published);
      const double figures[] = {unknown, paper.exact, paper.inexact, paper.unmapped, unknown};
      auto& row = table.rows.emplace_back(
          std::vector<Cell>{system.target, system.delta, system.fusion.map + (as_published ? " (as published)" : "")});
      size_t next = 0;
      for (const auto& metric : records::coverage_metrics()) {
        Figure figure = record.figure(system, name, metric.about.name);
        figure.paper = figures[next++];
        row.emplace_back(std::move(figure));
      }
    }
  table.errors = errors_over_seeds(record);
  sort_by_texts(table);
  if (!table.rows.empty()) section.tables = {std::move(table)};
  return section;
}

}  // namespace cmc::analysis
