#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "analysis/table.hpp"
#include "pipeline/records/measurements.hpp"

namespace cmc::analysis {

// returns: it rises, and a fifth of the way at least to what it was before it was taken away.
enum class Claim { rises, falls, stays, returns };

// One measure without and with what the paper proposes.
struct Contrast {
  std::string measure;  // "Strict, %"
  Claim claim = Claim::rises;
  int digits = 3;  // shown after the decimal point
  // Over the items measured in both; over the seeds where there are several.
  Figure baseline = {}, measured = {}, difference = {};
  double p = unknown;         // two-sided
  double way_back = unknown;  // of returns: share of the way from the baseline to what it was before
  // The smallest difference that this many items would show four times out of five; unknown below two items.
  double detectable = unknown;
  double relevant = unknown;  // the smallest difference that would count
  bool judged = false, holds = false;
  // It does not hold, and an effect that counts would not have been seen either.
  bool is_undecided() const;
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
