#include "analysis/compare.hpp"

#include <cmath>
#include <cstdio>
#include <map>
#include <set>
#include <sstream>

#include "analysis/instruct_runs.hpp"
#include "analysis/sample.hpp"
#include "analysis/tofu_runs.hpp"
#include "pipeline/metrics/summary.hpp"

namespace cmc::analysis {
namespace {

using Metric = std::map<int64_t, double>;                           // item → value
using Measured = std::map<std::pair<System, std::string>, Metric>;  // (system, metric name)

void take_instruct(const store::Results& results, Measured& measured) {
  for (const auto& [system, answers] : collect_instruct(results))
    for (const auto& [item, answer] : answers) {
      measured[{system, "reference, nat/token"}][item] = answer.reference_per_token;
      measured[{system, "stopped"}][item] = answer.stopped;
      measured[{system, "repetition"}][item] = answer.repetition;
      measured[{system, "length, tokens"}][item] = answer.length;
    }
}

void take_tofu(const store::Results& results, Measured& measured) {
  for (const auto& [system, run] : collect_tofu(results))
    for (const auto& [set, items] : run.sets) {
      const std::string name = title_of(set);
      const auto rouge = rouge_l_values(items), probability = probability_values(items, set),
                 ratio = truth_ratio_values(items, set, metrics::TruthRatioMean::geometric);
      size_t i = 0;
      for (const auto& [item, answer] : items) {
        measured[{system, name + " ROUGE-L"}][item] = rouge[i];
        measured[{system, name + " probability"}][item] = probability[i];
        measured[{system, name + " truth ratio"}][item] = ratio[i];
        ++i;
      }
    }
}

Measured measure(const store::Results& results) {
  Measured measured;
  take_instruct(results, measured);
  take_tofu(results, measured);
  return measured;
}

std::string interval_text(const metrics::Interval& interval) {
  char text[64];
  std::snprintf(text, sizeof text, "%+.4f … %+.4f", interval.low, interval.high);
  return text;
}

std::vector<Cell> compare_metric(const System& system, const std::string& name, const Metric& a, const Metric& b) {
  std::vector<double> ours, theirs;
  for (const auto& [item, value] : a) {
    const auto other = b.find(item);
    if (other == b.end() || !std::isfinite(value) || !std::isfinite(other->second)) continue;
    ours.push_back(value);
    theirs.push_back(other->second);
  }
  std::vector<Cell> row = system_cells(system);
  row.push_back(name);
  row.push_back(ours.empty() ? Figure{} : plain_figure(static_cast<double>(ours.size())));
  row.push_back(mean_figure(ours));
  row.push_back(mean_figure(theirs));
  if (ours.empty()) {
    row.insert(row.end(), {Figure{}, std::string(), Figure{}});
    return row;
  }
  const auto paired = metrics::paired_bootstrap(theirs, ours);
  row.insert(row.end(),
             {plain_figure(paired.difference), interval_text(paired.interval), plain_figure(paired.p_value)});
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

Table compare_results(const store::Results& a, const store::Results& b) {
  Table table{"compare", "A: " + a.header.title + "; B: " + b.header.title, system_columns(), {}, {}};
  for (const Column& column : {Column{"Metric"}, Column{"n", "", 0}, Column{"A", "", 4}, Column{"B", "", 4},
                               Column{"B − A", "", 4}, Column{"95 % interval"}, Column{"p", "", 4}})
    table.columns.push_back(column);
  const Measured ours = measure(a), theirs = measure(b);
  std::set<std::string> only_a, only_b;
  for (const auto& [name, metric] : ours) {
    const auto other = theirs.find(name);
    if (other == theirs.end())
      only_a.insert(describe(name.first));
    else
      table.rows.push_back(compare_metric(name.first, name.second, metric, other->second));
  }
  for (const auto& [name, metric] : theirs)
    if (!ours.contains(name)) only_b.insert(describe(name.first));
  table.notes = {
      "Means over the n items measured in both ± standard error; the interval and the two-sided p of B − A come from a "
      "paired bootstrap over items."};
  for (const auto& name : only_a) table.notes.push_back("only A measured some of " + name);
  for (const auto& name : only_b) table.notes.push_back("only B measured some of " + name);
  return table;
}

std::vector<std::string> experiment_differences(const store::Results& a, const store::Results& b) {
  const auto first = lines_of(a.header.experiment), second = lines_of(b.header.experiment);
  std::vector<std::string> differences;
  for (const auto& line : first)
    if (!second.contains(line)) differences.push_back("- " + line);
  for (const auto& line : second)
    if (!first.contains(line)) differences.push_back("+ " + line);
  return differences;
}

}  // namespace cmc::analysis
