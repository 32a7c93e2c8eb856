// Coverage of the token maps (paper, section 3.3).
#include <map>

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

// "other + tiny (prefix_sum)"; of systems fused alike but for the map, in one order of targets and deltas.
std::string nearest(const Record& record, const std::vector<System>& systems) {
  const std::string set(records::byte_exact_set);
  std::map<std::pair<std::string, std::string>, std::pair<double, std::string>> best;
  for (const System& system : systems) {
    const double far = record.figure(system, set, records::metric::map_divergence).value;
    const auto [at, first] = best.try_emplace({system.target, system.delta}, far, describe_curve(system));
    if (!first && far < at->second.first) at->second = {far, describe_curve(system)};
  }
  std::string names;
  for (const auto& [key, one] : best) names += (names.empty() ? "" : "; ") + one.second;
  return names;
}

// [systems] whose map was held against the byte-exact reference.
Table reference_table(const Record& record) {
  const std::string set(records::byte_exact_set);
  Table table{"token_map_reference", "Token maps against the byte-exact reference", system_columns(), {}, {}};
  table.key_columns = table.columns.size();
  table.columns.push_back({"n"});
  const auto metrics = {records::metric::map_divergence, records::metric::map_same_choice};
  for (const auto name : metrics) table.columns.push_back(metric_column(records::metric_named(name)));
  const auto systems = record.systems("byte_exact", set);
  for (const System& system : systems) {
    auto row = system_cells(system);
    row.emplace_back(Counts{{record.items(system, set)}});
    for (const auto name : metrics) row.emplace_back(record.figure(system, set, name));
    table.rows.push_back(std::move(row));
  }
  table.errors =
      record.has_seeds() ? errors_over_seeds(record) : "Means over n texts ± standard error; – was not measured.";
  table.notes = {
      "The fused distribution with a map against that with the delta's own probability that the next bytes are a base "
      "token's and no longer one's, summed over all ways to write it in the delta's tokens: KL(byte-exact ‖ mapped), "
      "mean over the first tokens of AlpacaEval's reference outputs. Nearest: " +
      nearest(record, systems) + "."};
  return table;
}

}  // namespace

Section token_map_section(const Record& record) {
  Section section{
      "token_map", "Token maps", "How a target's vocabulary finds the delta model's tokens (PM-MinED).", {}, {}};
  Table table{
      "token_map",
      "Coverage of the token maps",
      {{"Target vocabulary"}, {"Delta vocabulary"}, {"Method"}},
      {},
      {"Exact: an identical token. Inexact: the prefix-related token with the smallest edit distance. Unmapped "
       "tokens get no shift. In use: of the tokens of the texts that are scored (AlpacaEval's reference outputs, "
       "answers to forget): a vocabulary's own coverage says little of what is read."}};
  table.key_columns = table.columns.size();
  for (const auto& metric : records::coverage_metrics()) table.columns.push_back(metric_column(metric.about));
  for (const auto& name : {std::string(records::map_set), std::string(records::published_map_set)})
    for (const System& system : record.systems("token_map", name)) {
      const bool as_published = name == records::published_map_set;
      const Coverage paper = published(system.target, system.delta, as_published);
      const double figures[] = {unknown, paper.exact, paper.inexact, paper.unmapped, unknown, unknown, unknown};
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
  if (auto reference = reference_table(record); !reference.rows.empty()) section.tables.push_back(std::move(reference));
  return section;
}

}  // namespace cmc::analysis
