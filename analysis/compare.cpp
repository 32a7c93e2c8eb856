#include "analysis/compare.hpp"

#include <cmath>
#include <cstdio>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "analysis/instruct_runs.hpp"
#include "analysis/sample.hpp"
#include "analysis/seeds.hpp"
#include "analysis/tofu_runs.hpp"
#include "pipeline/metrics/summary.hpp"

namespace cmc::analysis {
namespace {

using Item = std::pair<std::optional<int64_t>, int64_t>;  // seed (where it matters), item
using Metric = std::map<Item, double>;
using Measured = std::map<std::pair<System, std::string>, Metric>;  // (system, metric name)

void take_instruct(const store::Results& results, std::optional<int64_t> seed, Measured& measured) {
  for (const auto& [system, answers] : collect_instruct(results, "plain"))
    for (const auto& [item, answer] : answers) {
      measured[{system, "reference, nat/token"}][{seed, item}] = answer.reference_per_token;
      measured[{system, "stopped"}][{seed, item}] = answer.stopped;
      measured[{system, "repetition"}][{seed, item}] = answer.repetition;
      measured[{system, "length, tokens"}][{seed, item}] = answer.length;
      if (!std::isnan(answer.followed)) measured[{system, "followed"}][{seed, item}] = answer.followed;
      if (!std::isnan(answer.strict())) measured[{system, "strict"}][{seed, item}] = answer.strict();
    }
  for (const auto& [system, answers] : collect_instruct(results, "checked"))
    for (const auto& [item, answer] : answers)
      measured[{system, "checked instruction followed"}][{seed, item}] = answer.followed;
}

void take_tofu(const store::Results& results, std::optional<int64_t> seed, Measured& measured) {
  for (const auto& [system, run] : collect_tofu(results))
    for (const auto& [set, items] : run.sets) {
      const std::string name = title_of(set);
      const auto rouge = rouge_l_values(items), probability = probability_values(items, set),
                 ratio = truth_ratio_values(items, set, metrics::TruthRatioMean::geometric);
      size_t i = 0;
      for (const auto& [item, answer] : items) {
        measured[{system, name + " ROUGE-L"}][{seed, item}] = rouge[i];
        measured[{system, name + " probability"}][{seed, item}] = probability[i];
        measured[{system, name + " truth ratio"}][{seed, item}] = ratio[i];
        ++i;
      }
    }
}

Measured measure(const store::Results& results, bool several_seeds) {
  Measured measured;
  const auto take = [&](const store::Results& part, std::optional<int64_t> seed) {
    take_instruct(part, seed, measured);
    take_tofu(part, seed, measured);
  };
  if (!several_seeds) {
    take(results, std::nullopt);
    return measured;
  }
  take(units_of(results, std::nullopt), std::nullopt);
  for (const int64_t seed : seeds_of(results)) take(units_of(results, seed), seed);
  return measured;
}

// Over the items, or over the seeds where there are several.
Figure figure_of(const Metric& values) {
  std::map<std::optional<int64_t>, std::vector<double>> by_seed;
  for (const auto& [item, value] : values) by_seed[item.first].push_back(value);
  if (by_seed.size() < 2) return values.empty() ? Figure{} : mean_figure(by_seed.begin()->second);
  std::vector<std::pair<int64_t, Figure>> figures;
  for (const auto& [seed, list] : by_seed) figures.emplace_back(seed.value_or(-1), mean_figure(list));
  return seed_figure(figures);
}

std::string interval_text(const metrics::Interval& interval) {
  char text[64];
  std::snprintf(text, sizeof text, "%+.4f … %+.4f", interval.low, interval.high);
  return text;
}

std::vector<Cell> compare_metric(const System& system, const std::string& name, const Metric& a, const Metric& b) {
  std::vector<double> ours, theirs;
  Metric both_a, both_b, change;
  for (const auto& [item, value] : a) {
    const auto other = b.find(item);
    if (other == b.end() || !std::isfinite(value) || !std::isfinite(other->second)) continue;
    ours.push_back(value);
    theirs.push_back(other->second);
    both_a[item] = value, both_b[item] = other->second, change[item] = other->second - value;
  }
  std::vector<Cell> row = system_cells(system);
  row.push_back(name);
  row.push_back(ours.empty() ? Figure{} : plain_figure(static_cast<double>(ours.size())));
  row.push_back(figure_of(both_a));
  row.push_back(figure_of(both_b));
  if (ours.empty()) {
    row.insert(row.end(), {Figure{}, std::string(), Figure{}});
    return row;
  }
  const auto paired = metrics::paired_bootstrap(theirs, ours);
  row.insert(row.end(),
             {plain_figure(figure_of(change).value), interval_text(paired.interval), plain_figure(paired.p_value)});
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
  for (const Column& column :
       {Column{"Metric"}, Column{"n", "", 0}, Column{"A", "", 4}, Column{"B", "", 4}, Column{"B − A", "", 4},
        Column{"95 % interval"}, Column{"p", "", 3, "", OverSeeds::largest}})
    table.columns.push_back(column);
  const bool several = seeds_of(a).size() > 1 || seeds_of(b).size() > 1;
  const Measured ours = measure(a, several), theirs = measure(b, several);
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
  table.errors = several
                     ? "Means over the seeds, of the n items measured in both with the same seed, ± sample standard "
                       "deviation over the seeds (standard error over the items where there is one seed)."
                     : "Means over the n items measured in both ± standard error.";
  table.notes = {"The interval and the two-sided p of B − A come from a paired bootstrap over items."};
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
