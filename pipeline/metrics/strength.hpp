#pragma once
#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace cmc::metrics {

// How far a strength α of a delta is from 1, the paper's: of two, the smaller is the nearer; of equally near ones, the
// weaker.
inline std::pair<double, double> distance_from_1(double alpha) {
  return {std::abs(alpha - 1), alpha};
}

// The one nearest to 1, alone; nothing of nothing.
inline std::vector<double> nearest_to_1(const std::vector<double>& strengths) {
  if (strengths.empty()) return {};
  return {*std::ranges::min_element(strengths, {}, distance_from_1)};
}

}  // namespace cmc::metrics
