#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "analysis/findings.hpp"
#include "pipeline/records/measurements.hpp"

namespace cmc::analysis {

struct Pair {
  double baseline, measured;
};
// Of the items that both have a value for.
std::vector<Pair> paired(std::span<const records::Measurement> baseline, std::span<const records::Measurement> measured);

struct SeedSample {
  int64_t seed;
  std::vector<Pair> pairs;
};
using Samples = std::vector<SeedSample>;

// Judges `claim` by the rules of findings.hpp. Seeds without pairs are left out.
Contrast contrast(const std::string& measure, Claim claim, int digits, const Samples& samples);

}  // namespace cmc::analysis
