#pragma once
#include <algorithm>
#include <functional>
#include <vector>

#include "analysis/plot.hpp"
#include "analysis/record.hpp"

namespace cmc::analysis {

// Drops what has fewer points than another: variants measured at one strength alone are no curve.
template <class Curve, class Length>
void keep_longest(std::vector<Curve>& curves, Length length) {
  size_t most = 0;
  for (const Curve& curve : curves) most = std::max(most, length(curve));
  std::erase_if(curves, [&](const Curve& curve) { return length(curve) < most; });
}

// A point of a curve, with the error of its figure.
void add_point(Series& series, double x, const Figure& figure);
// What the bars of a figure are: "standard error", or the deviation over seeds.
std::string bars_of(const Record& record);

// A metric over alpha, vanilla at 0 (paper, Figure 4): `blank` once for each target, with a curve for each delta and
// variant of fusion. Of what the set was measured with.
std::vector<Plot> strength_plots(const Record& record, const std::string& stage, const std::string& set,
                                 std::string_view metric, const Plot& blank);

}  // namespace cmc::analysis
