#pragma once
#include <compare>
#include <map>
#include <string>
#include <vector>

#include "analysis/table.hpp"
#include "pipeline/store/results.hpp"

namespace cmc::analysis {

// Two models whose logit shifts are compared at the reference's most probable tokens (paper, section 2).
struct ShiftPair {
  std::string reference, other;
  std::string method;  // how both were fine-tuned: "lora", "full"
  auto operator<=>(const ShiftPair&) const = default;
};
std::string describe(const ShiftPair& pair);  // "llama and mistral"

// How far apart the shifts on one prompt are; unknown where it was not measured.
struct ShiftDistance {
  double sinkhorn = unknown;           // Sinkhorn divergence over all steps, divided by 100 (protocol)
  double sinkhorn_per_step = unknown;  // mean of each step's own
  double pearson = unknown;
  double mean_square = unknown;  // nat²
};
struct ShiftItem {
  ShiftDistance same, different;  // the other model fine-tuned on the reference's data, or on different data
};
using SimilarityRuns = std::map<ShiftPair, std::map<int64_t, ShiftItem>>;  // pair → prompt → distances

SimilarityRuns collect_similarity(const store::Results& results);

// Shifts on one prompt, [step][token], tokens of a step by falling probability under the reference.
struct ShiftMatrices {
  std::vector<std::vector<double>> reference, same, different;  // empty where the unit does not have them
};
// Of each pair's first prompt.
std::map<ShiftPair, ShiftMatrices> first_shifts(const store::Results& results);

}  // namespace cmc::analysis
