#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "analysis/findings.hpp"

namespace cmc::analysis {

using ItemValues = std::map<int64_t, double>;

struct Pair {
  double baseline, measured;
};
// Of the items that both have a finite value for.
std::vector<Pair> paired(const ItemValues& baseline, const ItemValues& measured);

struct SeedSample {
  int64_t seed;
  std::vector<Pair> pairs;
};
using Samples = std::vector<SeedSample>;

// Judges `claim` by the rules of findings.hpp. Seeds without pairs are left out.
Contrast contrast(const std::string& measure, Claim claim, int digits, const Samples& samples);

}  // namespace cmc::analysis
