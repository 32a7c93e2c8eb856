#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "analysis/table.hpp"
#include "pipeline/records/measurements.hpp"

namespace cmc::analysis {

enum class Claim { rises, falls, stays };

// One measure without and with what the paper proposes.
struct Contrast {
  std::string measure;  // "Strict, %"
  Claim claim = Claim::rises;
  int digits = 3;  // shown after the decimal point
  // Over the items measured in both; over the seeds where there are several.
  Figure baseline = {}, measured = {}, difference = {};
  double p = unknown;  // two-sided
  bool judged = false, holds = false;
};

struct Pair {
  double baseline, measured;
};
// Of the items that both have a value for.
std::vector<Pair> paired(std::span<const records::Measurement> baseline,
                         std::span<const records::Measurement> measured);

struct SeedSample {
  int64_t seed;
  std::vector<Pair> pairs;
};
using Samples = std::vector<SeedSample>;

// Judges `claim` by the rules of findings.hpp. Seeds without pairs are left out.
Contrast contrast(const std::string& measure, Claim claim, int digits, const Samples& samples);

}  // namespace cmc::analysis
