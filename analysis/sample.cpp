#include "analysis/sample.hpp"

#include <cmath>

#include "pipeline/metrics/summary.hpp"

namespace cmc::analysis {

Figure mean_figure(const std::vector<double>& values) {
  std::vector<double> measured;
  for (const double value : values)
    if (std::isfinite(value)) measured.push_back(value);
  if (measured.empty()) return {};
  Figure figure{metrics::mean(measured), unknown, static_cast<int64_t>(measured.size()), unknown};
  if (measured.size() > 1) figure.standard_error = metrics::standard_error(measured);
  return figure;
}

}  // namespace cmc::analysis
