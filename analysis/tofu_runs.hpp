#pragma once
#include <map>
#include <string>

#include "analysis/systems.hpp"
#include "pipeline/metrics/tofu.hpp"

namespace cmc::analysis {

// One TOFU item as one system answered and scored it.
struct TofuAnswer {
  double rouge1 = unknown, rouge_l = unknown;  // recall
  bool scored = false;                         // `losses` are measured
  metrics::AnswerLosses losses;
  std::string question, answer, generated;
};
using TofuItems = std::map<int64_t, TofuAnswer>;
struct TofuRun {
  std::map<metrics::TofuSet, TofuItems> sets;
  const TofuItems& items(metrics::TofuSet set) const;  // empty where nothing was measured
};
using TofuRuns = std::map<System, TofuRun>;

TofuRuns collect_tofu(const store::Results& results);

// The order of the paper's Table 2.
inline constexpr metrics::TofuSet tofu_sets[] = {metrics::TofuSet::real_authors, metrics::TofuSet::world_facts,
                                                 metrics::TofuSet::retain, metrics::TofuSet::forget};
std::string title_of(metrics::TofuSet set);  // "Real Authors"

// One value per item; NaN where it was not measured.
std::vector<double> rouge_l_values(const TofuItems& items);
std::vector<double> probability_values(const TofuItems& items, metrics::TofuSet set);
std::vector<double> truth_ratio_values(const TofuItems& items, metrics::TofuSet set, metrics::TruthRatioMean mean);

}  // namespace cmc::analysis
