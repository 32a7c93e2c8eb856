// TOFU (paper, Table 2 layout, and Figure 4's curves over the strength).
#include <array>
#include <cmath>

#include "analysis/paper_tables.hpp"
#include "analysis/sample.hpp"
#include "analysis/section.hpp"
#include "analysis/strength_plot.hpp"
#include "analysis/tofu_runs.hpp"
#include "pipeline/core/random.hpp"
#include "pipeline/metrics/summary.hpp"

namespace cmc::analysis {
namespace {

using metrics::TofuSet;
using metrics::TruthRatioMean;

// Per item: ROUGE-L recall, probability, truth ratio.
struct SetSample {
  std::vector<std::array<double, 3>> items;
};

SetSample sample_of(const TofuItems& items, TofuSet set, TruthRatioMean mean) {
  const auto rouge = rouge_l_values(items), probability = probability_values(items, set),
             ratio = truth_ratio_values(items, set, mean);
  SetSample sample;
  for (size_t i = 0; i < items.size(); ++i)
    if (std::isfinite(rouge[i]) && std::isfinite(probability[i]) && std::isfinite(ratio[i]))
      sample.items.push_back({rouge[i], probability[i], ratio[i]});
  return sample;
}

// Means over the items, or over a resample of them where `random` is given.
metrics::TofuScores scores_of(const SetSample& sample, Random* random) {
  std::array<double, 3> sum{};
  const auto n = sample.items.size();
  for (size_t i = 0; i < n; ++i) {
    const auto& item = sample.items[random ? random->below(n) : i];
    for (size_t k = 0; k < 3; ++k) sum[k] += item[k];
  }
  const auto count = static_cast<double>(n);
  return {sum[0] / count, sum[1] / count, sum[2] / count};
}

// Its standard error by bootstrap over the items of each set (1,000 resamples): the harmonic mean has no simple one.
Figure utility_figure(const TofuRun& run, TruthRatioMean mean) {
  const auto retain = sample_of(run.items(TofuSet::retain), TofuSet::retain, mean);
  const auto authors = sample_of(run.items(TofuSet::real_authors), TofuSet::real_authors, mean);
  const auto facts = sample_of(run.items(TofuSet::world_facts), TofuSet::world_facts, mean);
  if (retain.items.empty() || authors.items.empty() || facts.items.empty()) return {};
  const auto utility = [&](Random* random) {
    const auto first = scores_of(retain, random), second = scores_of(authors, random), third = scores_of(facts, random);
    return metrics::model_utility(first, second, third);
  };
  constexpr int resamples = 1000;
  Random random(17);
  std::vector<double> values;
  for (int i = 0; i < resamples; ++i) values.push_back(utility(&random));
  return {utility(nullptr), metrics::standard_deviation(values),
          static_cast<int64_t>(retain.items.size() + authors.items.size() + facts.items.size()), unknown};
}

std::vector<double> forget_ratios(const TofuRun& run, TruthRatioMean mean) {
  std::vector<metrics::AnswerLosses> losses;
  for (const auto& [index, item] : run.items(TofuSet::forget))
    if (item.scored) losses.push_back(item.losses);
  return losses.empty() ? std::vector<double>{} : metrics::truth_ratios(losses, mean);
}

// Against the same target trained on the retained data alone (method "retain_only"), where the experiment has one.
Figure quality_figure(const TofuRuns& runs, const System& system, const TofuRun& run, TruthRatioMean mean) {
  if (system.method == "retain_only") return {};
  for (const auto& [other, reference] : runs) {
    if (other.target != system.target || other.method != "retain_only") continue;
    const auto ours = forget_ratios(run, mean), theirs = forget_ratios(reference, mean);
    if (ours.empty() || theirs.empty() || ours == theirs) return {};  // equal: the same model twice says nothing
    return {metrics::forget_quality(ours, theirs), unknown, static_cast<int64_t>(ours.size()), unknown};
  }
  return {};
}

Counts counts(const TofuRun& run) {
  Counts counts;
  for (const auto set : tofu_sets) counts.n.push_back(static_cast<int64_t>(run.items(set).size()));
  return counts;
}

std::vector<Column> columns() {
  std::vector<Column> list = system_columns();
  list.push_back({"n"});
  for (const auto set : tofu_sets) {
    const std::string good = set == TofuSet::forget ? "lower" : "higher";
    list.push_back({"ROUGE-L", title_of(set), 3, good});
    list.push_back({"Prob.", title_of(set), 3, good});
    list.push_back({"Truth R.", title_of(set), 3, "higher"});
  }
  list.push_back({"Utility", "", 3, "higher"});
  list.push_back({"Forget q.", "", 3, "higher"});
  return list;
}

Table main_table(const TofuRuns& runs, TruthRatioMean mean) {
  const bool geometric = mean == TruthRatioMean::geometric;
  Table table{geometric ? "tofu" : "tofu_arithmetic",
              std::string("TOFU after unlearning (truth ratio: ") + (geometric ? "geometric" : "arithmetic") + " mean)",
              columns(),
              {},
              {}};
  table.key_columns = system_columns().size();
  if (!geometric) table.shown = Table::Shown::files_only;
  for (const auto& [system, run] : runs) {
    auto row = system_cells(system);
    row.emplace_back(counts(run));
    for (const auto set : tofu_sets) {
      row.push_back(mean_figure(rouge_l_values(run.items(set))));
      row.push_back(mean_figure(probability_values(run.items(set), set)));
      row.push_back(mean_figure(truth_ratio_values(run.items(set), set, mean)));
    }
    row.push_back(utility_figure(run, mean));
    row.push_back(quality_figure(runs, system, run, mean));
    table.rows.push_back(std::move(row));
  }
  table.errors = "Means over n items ± standard error, of Utility by bootstrap (1,000 resamples); – was not measured.";
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

// ROUGE-L of each set over alpha, one plot per target and delta; vanilla at 0.
std::vector<Plot> strength_plots(const TofuRuns& runs) {
  std::map<std::tuple<std::string, std::string, std::string, std::string>, Plot> plots;
  const auto add = [](Plot& plot, double alpha, const TofuRun& run) {
    for (size_t s = 0; s < std::size(tofu_sets); ++s) {
      const Figure figure = mean_figure(rouge_l_values(run.items(tofu_sets[s])));
      plot.series[s].x.push_back(alpha);
      plot.series[s].y.push_back(figure.value);
      plot.series[s].error.push_back(figure.standard_error);
    }
  };
  for (const auto& [system, run] : runs) {
    if (system.delta.empty() || run.sets.empty()) continue;
    auto& plot = plots[{system.target, system.method, system.delta, system.mode}];
    if (plot.series.empty()) {
      plot = {
          "tofu_strength",
          "TOFU: " + describe_curve(system),
          "strength α",
          "ROUGE-L recall",
          "Mean ROUGE-L recall of the generated answers by set, n = " + show(counts(run), {}) +
              " (Real Authors/World Facts/Retain/Forget). α = 0 is the target alone. Layout of the paper's Figure 4.",
          {},
          "standard error"};
      for (const auto set : tofu_sets) plot.series.push_back({title_of(set), {}, {}});
      if (const auto vanilla = runs.find(system.vanilla()); vanilla != runs.end()) add(plot, 0, vanilla->second);
    }
    add(plot, system.alpha, run);
  }
  std::vector<Plot> list;
  for (auto& [name, plot] : plots) list.push_back(std::move(plot));
  keep_longest(list, [](const Plot& plot) { return plot.series.front().x.size(); });
  return list;
}

std::vector<Example> examples(const TofuRuns& runs) {
  std::map<std::pair<std::string, std::string>, Example> list;  // (set, question)
  for (const auto& [system, run] : runs)
    for (const auto set : {TofuSet::forget, TofuSet::retain}) {
      if (run.items(set).empty()) continue;
      const TofuAnswer& item = run.items(set).begin()->second;
      Example& example = list[{title_of(set), item.question}];
      if (example.texts.empty()) {
        example.title = title_of(set) + ": " + item.question;
        example.texts.emplace_back("true answer", item.answer);
      }
      example.texts.emplace_back(describe(system), item.generated);
    }
  std::vector<Example> ordered;
  for (auto& [name, example] : list) ordered.push_back(std::move(example));
  return ordered;
}

}  // namespace

Section tofu_section(const store::Results& results) {
  const TofuRuns runs = collect_tofu(results);
  Section section{"tofu",
                  "Unlearning (TOFU)",
                  "What each target still knows of the authors to forget, and of what it should keep, alone and "
                  "steered by the unlearning delta.",
                  {},
                  {}};
  if (runs.empty()) return section;
  section.tables = paper_tables(main_table(runs, TruthRatioMean::geometric), systems_of(runs),
                                {{"table2", "Unlearning (TOFU), as in the paper's Table 2"},
                                 {"table2_deltas", "Unlearning deltas compared"},
                                 {"table2_variants", "Unlearning: variants of fusion and token map"},
                                 main_delta(results.header.experiment, "unlearn")});
  section.tables.push_back(main_table(runs, TruthRatioMean::arithmetic));
  section.plots = strength_plots(runs);
  section.examples = examples(runs);
  return section;
}

}  // namespace cmc::analysis
