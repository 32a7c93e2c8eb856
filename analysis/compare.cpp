#include "analysis/compare.hpp"

#include <cstdio>
#include <map>
#include <set>
#include <sstream>

#include "analysis/systems.hpp"
#include "analysis/tofu_sets.hpp"
#include "pipeline/metrics/summary.hpp"

namespace cmc::analysis {
namespace {

// By seed (where it matters) and item.
using Values = std::map<std::pair<int64_t, int64_t>, double>;
// What is compared: every metric of items there is, on every set.
using Place = std::tuple<System, std::string, int>;
using Measured = std::map<Place, Values>;

constexpr int64_t no_seed = -1;

Measured measure(const Record& record, bool several_seeds) {
  Measured measured;
  const auto& all = record.measurements();
  for (const auto& row : all.rows()) {
    const System& system = all.systems()[static_cast<size_t>(row.system)];
    const auto aggregate = records::all_metrics()[static_cast<size_t>(row.metric)].aggregate;
    if (aggregate == records::Aggregate::single || aggregate == records::Aggregate::computed) continue;
    const int64_t seed = several_seeds ? system.seed.value_or(no_seed) : no_seed;
    measured[{system.without_seed(), all.sets()[static_cast<size_t>(row.set)], row.metric}][{seed, row.item}] =
        row.value;
  }
  return measured;
}

// "Forget ROUGE-L", "Strict, %", "checked: Followed, %".
std::string title_of(const Place& place) {
  const auto& [system, set, code] = place;
  const std::string title(records::all_metrics()[static_cast<size_t>(code)].title);
  for (const auto& shown : tofu_sets)
    if (set == shown.name()) return std::string(shown.title) + " " + title;
  for (const auto& measure : records::shift_measures)
    for (const auto name : {measure.same, measure.different, measure.difference})
      if (code == records::metric_code(name)) return set + ": " + std::string(measure.title) + ", " + title;
  return set == name_of(records::Prompts::plain) ? title : set + ": " + title;
}

// Over the items, or over the seeds where there are several.
Figure figure_of(const Values& values) {
  std::map<int64_t, std::vector<double>> by_seed;
  for (const auto& [item, value] : values) by_seed[item.first].push_back(value);
  if (by_seed.size() < 2) return values.empty() ? Figure{} : records::mean_figure(by_seed.begin()->second);
  records::SeedFigures figures;
  for (const auto& [seed, list] : by_seed) figures.emplace_back(seed, records::mean_figure(list));
  return records::seed_figure(figures);
}

std::string interval_text(const metrics::Interval& interval) {
  char text[64];
  std::snprintf(text, sizeof text, "%+.4f … %+.4f", interval.low, interval.high);
  return text;
}

std::vector<Cell> compare_metric(const Place& place, const Values& a, const Values& b) {
  std::vector<double> ours, theirs;
  Values both_a, both_b, change;
  for (const auto& [item, value] : a) {
    const auto other = b.find(item);
    if (other == b.end()) continue;
    ours.push_back(value);
    theirs.push_back(other->second);
    both_a[item] = value, both_b[item] = other->second, change[item] = other->second - value;
  }
  std::vector<Cell> row = system_cells(std::get<0>(place));
  row.emplace_back(title_of(place));
  row.emplace_back(ours.empty() ? Figure{} : records::plain_figure(static_cast<double>(ours.size())));
  row.emplace_back(figure_of(both_a));
  row.emplace_back(figure_of(both_b));
  if (ours.empty()) {
    row.insert(row.end(), {Figure{}, std::string(), Figure{}});
    return row;
  }
  const auto paired = metrics::paired_bootstrap(theirs, ours);
  row.insert(row.end(), {records::plain_figure(figure_of(change).value), interval_text(paired.interval),
                         records::plain_figure(paired.p_value)});
  return row;
}

std::multiset<std::string> lines_of(const std::string& text) {
  std::multiset<std::string> lines;
  std::istringstream in(text);
  std::string section;
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && line[0] == '[')
      section = line + " ";
    else if (!line.empty())
      lines.insert(section + line);
  }
  return lines;
}

}  // namespace

Table compare_results(const Record& a, const Record& b) {
  Table table{
      "compare", "A: " + a.results().header.title + "; B: " + b.results().header.title, system_columns(), {}, {}};
  for (const Column& column :
       {Column{"Metric"}, Column{"n", "", 0}, Column{"A", "", 4}, Column{"B", "", 4}, Column{"B − A", "", 4},
        Column{"95 % interval"}, Column{"p", "", 3, "", OverSeeds::largest}})
    table.columns.push_back(column);
  const bool several = a.has_seeds() || b.has_seeds();
  const Measured ours = measure(a, several), theirs = measure(b, several);
  std::set<std::string> only_a, only_b;
  for (const auto& [place, values] : ours) {
    const auto other = theirs.find(place);
    if (other == theirs.end())
      only_a.insert(describe(std::get<0>(place)));
    else
      table.rows.push_back(compare_metric(place, values, other->second));
  }
  for (const auto& [place, values] : theirs)
    if (!ours.contains(place)) only_b.insert(describe(std::get<0>(place)));
  table.errors = several
                     ? "Means over the seeds, of the n items measured in both with the same seed, ± sample standard "
                       "deviation over the seeds (standard error over the items where there is one seed)."
                     : "Means over the n items measured in both ± standard error.";
  table.notes = {"The interval and the two-sided p of B − A come from a paired bootstrap over items."};
  for (const auto& name : only_a) table.notes.push_back("only A measured some of " + name);
  for (const auto& name : only_b) table.notes.push_back("only B measured some of " + name);
  return table;
}

std::vector<std::string> experiment_differences(const Record& a, const Record& b) {
  const auto first = lines_of(a.results().header.experiment), second = lines_of(b.results().header.experiment);
  std::vector<std::string> differences;
  for (const auto& line : first)
    if (!second.contains(line)) differences.push_back("- " + line);
  for (const auto& line : second)
    if (!first.contains(line)) differences.push_back("+ " + line);
  return differences;
}

}  // namespace cmc::analysis
