#include "pipeline/records/figure.hpp"

#include <algorithm>
#include <cmath>

#include "pipeline/metrics/summary.hpp"

namespace cmc::records {

Figure mean_figure(const std::vector<double>& values) {
  std::vector<double> measured;
  for (const double value : values)
    if (std::isfinite(value)) measured.push_back(value);
  if (measured.empty()) return {};
  Figure figure{metrics::mean(measured), unknown, static_cast<int64_t>(measured.size()), unknown};
  if (measured.size() > 1) figure.standard_error = metrics::standard_error(measured);
  return figure;
}

Figure seed_figure(const SeedFigures& figures, OverSeeds rule) {
  Figure together;
  std::vector<double> measured;
  for (const auto& [seed, figure] : figures) {
    together.by_seed.emplace_back(seed, figure.value);
    if (std::isfinite(figure.value)) measured.push_back(figure.value);
    together.n += figure.n;
    if (std::isnan(together.paper)) together.paper = figure.paper;
  }
  if (measured.empty()) return {unknown, unknown, 0, together.paper};
  if (rule == OverSeeds::largest) {
    together.value = std::ranges::max(measured);
    return together;
  }
  const bool agree = std::ranges::all_of(measured, [&](double value) { return value == measured.front(); });
  if (rule == OverSeeds::same && agree) return plain_figure(measured.front());
  together.value = metrics::mean(measured);
  if (measured.size() > 1) together.seed_deviation = metrics::standard_deviation(measured);
  return together;
}

namespace {

bool same_measurement(const Figure& a, const Figure& b) {
  const auto equal = [](double x, double y) { return x == y || (std::isnan(x) && std::isnan(y)); };
  return !std::isnan(b.value) && a.value == b.value && a.n == b.n && equal(a.standard_error, b.standard_error);
}

}  // namespace

Figure seed_figure(const SeedFigures& figures, const Figure* fixed, OverSeeds rule) {
  const auto is_fixed = [&](const auto& seed) { return same_measurement(seed.second, *fixed); };
  if (!fixed || !std::ranges::all_of(figures, is_fixed)) return seed_figure(figures, rule);
  Figure once = *fixed;
  once.standard_error = unknown;  // ± means the spread over seeds here
  return once;
}

}  // namespace cmc::records
