#pragma once
#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "analysis/plot.hpp"
#include "analysis/systems.hpp"

namespace cmc::analysis {

// Drops what has fewer points than another: variants measured at one strength alone are no curve.
template <class Curve, class Length>
void keep_longest(std::vector<Curve>& curves, Length length) {
  size_t most = 0;
  for (const Curve& curve : curves) most = std::max(most, length(curve));
  std::erase_if(curves, [&](const Curve& curve) { return length(curve) < most; });
}

// A figure over alpha, vanilla at 0 (paper, Figure 4): `blank` once for each target, with a curve for each delta and
// variant of fusion. `runs`: a map by System, a system without items is left out; `figure_of`: a Figure of one system's
// items.
template <class Runs, class FigureOf>
std::vector<Plot> strength_plots(const Runs& runs, const Plot& blank, FigureOf figure_of) {
  std::map<std::string, std::map<System, Series>> curves;  // by target, then by system without its strength
  const auto add = [&](Series& series, double alpha, const auto& items) {
    const Figure figure = figure_of(items);
    series.x.push_back(alpha), series.y.push_back(figure.value), series.error.push_back(figure.standard_error);
  };
  for (const auto& [system, items] : runs) {
    if (system.delta.empty() || items.empty()) continue;
    auto& series = curves[system.target][{system.target, system.method, system.delta, system.mode, 0}];
    if (series.x.empty()) {
      series.name = describe_addition(system);
      if (const auto vanilla = runs.find(system.vanilla()); vanilla != runs.end() && !vanilla->second.empty())
        add(series, 0, vanilla->second);
    }
    add(series, system.alpha, items);
  }
  std::vector<Plot> plots;
  for (auto& [target, by_system] : curves) {
    Plot& plot = plots.emplace_back(blank);
    plot.title += ": " + target;
    for (auto& [system, series] : by_system) plot.series.push_back(std::move(series));
    keep_longest(plot.series, [](const Series& series) { return series.x.size(); });
    plot.caption += " α = 0 is the target alone. The paper's Figure 4 shows win rates over α.";
    plot.bars = "standard error";
  }
  return plots;
}

}  // namespace cmc::analysis
