#pragma once
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "analysis/plot.hpp"
#include "analysis/systems.hpp"

namespace cmc::analysis {

// `plot` with a figure over alpha (paper, Figure 4), vanilla at 0: one curve for each target, delta and variant of fusion.
// `runs`: a map by System, a system without items is left out; `figure_of`: a Figure of one system's items.
template <class Runs, class FigureOf>
Plot strength_plot(const Runs& runs, Plot plot, FigureOf figure_of) {
  std::map<std::tuple<std::string, std::string, std::string, std::string>, Series> curves;
  const auto add = [&](Series& series, double alpha, const auto& items) {
    const Figure figure = figure_of(items);
    series.x.push_back(alpha), series.y.push_back(figure.value), series.error.push_back(figure.standard_error);
  };
  for (const auto& [system, items] : runs) {
    if (system.delta.empty() || items.empty()) continue;
    auto& series = curves[{system.target, system.method, system.delta, system.mode}];
    if (series.x.empty()) {
      series.name = describe_curve(system);
      if (const auto vanilla = runs.find(system.vanilla()); vanilla != runs.end() && !vanilla->second.empty())
        add(series, 0, vanilla->second);
    }
    add(series, system.alpha, items);
  }
  for (auto& [name, series] : curves) plot.series.push_back(std::move(series));
  plot.caption += " α = 0 is the target alone. The paper's Figure 4 shows win rates over α.";
  plot.bars = "standard error";
  return plot;
}

}  // namespace cmc::analysis
