#include "analysis/strength_plot.hpp"

#include <cmath>
#include <map>

namespace cmc::analysis {

void add_point(Series& series, double x, const Figure& figure) {
  series.x.push_back(x);
  series.y.push_back(figure.value);
  series.error.push_back(figure.by_seed.empty() ? figure.standard_error : figure.seed_deviation);
}

std::string bars_of(const Record& record) {
  if (!record.has_seeds()) return "standard error";
  std::string seeds;
  for (const int64_t seed : record.seeds()) seeds += (seeds.empty() ? "" : ", ") + std::to_string(seed);
  return "sample standard deviation over seeds " + seeds + ", around their mean";
}

std::vector<Plot> strength_plots(const Record& record, const std::string& stage, const std::string& set,
                                 std::string_view metric, const Plot& blank) {
  std::map<std::string, std::map<System, Series>> curves;  // by target, then by system without its strength
  for (const System& system : record.systems(stage, set)) {
    if (!system.adds_delta() || record.items(system, set) == 0) continue;
    auto& series = curves[system.target][system.without_strength()];
    if (series.x.empty()) {
      series.name = describe_addition(system);
      if (record.items(system.vanilla(), set) > 0) add_point(series, 0, record.figure(system.vanilla(), set, metric));
    }
    add_point(series, system.strength, record.figure(system, set, metric));
  }
  std::vector<Plot> plots;
  for (auto& [target, by_system] : curves) {
    Plot& plot = plots.emplace_back(blank);
    plot.title += ": " + target;
    for (auto& [system, series] : by_system) plot.series.push_back(std::move(series));
    keep_longest(plot.series, [](const Series& series) { return series.x.size(); });
    plot.caption += " α = 0 is the target alone. The paper's Figure 4 shows win rates over α.";
    plot.bars = bars_of(record);
  }
  return plots;
}

}  // namespace cmc::analysis
