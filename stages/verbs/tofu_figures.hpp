#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "pipeline/core/json.hpp"

namespace cmc::stages {

// What a TOFU log says of a model; empty: the log does not tell.

struct ByMean {  // of the wrong answers' probabilities (metrics::TruthRatioMean)
  std::optional<double> geometric, arithmetic;
};

struct TofuSetFigures {
  std::optional<double> rouge_l;
  std::optional<double> probability;
  ByMean truth_ratio;
};

struct TofuFigures {
  TofuSetFigures real_authors, world_facts, retain, forget;
  ByMean model_utility;
  ByMean forget_quality;
  std::map<std::string, double> audits;      // of open-unlearning, by its names; AUCs and PrivLeak from the scores
  std::optional<int64_t> rouge_l_differing;  // items whose ROUGE-L is not the log's, by more than 1e-6; empty unless
                                             // every set has texts
};

// Each figure from the log's items where it has them (ROUGE-L from their texts, else their own), else as the log tells
// it. `retain_file`: log of a model that never saw the forget set, for forget quality and PrivLeak; without one they
// are the log's own. Throws
// as data::read_tofu_log; BadData where a forget set to be compared has no losses; Refused where both are the same.
TofuFigures tofu_figures(const std::string& file, const std::optional<std::string>& retain_file);

// {"sets": {set: {"rouge_l", "probability", "truth_ratio"}}, "model_utility", "forget_quality", "audits",
// "rouge_l_differing"}.
Json to_json(const TofuFigures& figures);

}  // namespace cmc::stages
