#include "pipeline/metrics/summary.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/core/random.hpp"
#include "pipeline/metrics/checked_sample.hpp"

namespace cmc::metrics {
namespace {

double sum(std::span<const double> values) {  // Neumaier: the same to the last bit or nearly, in any order
  double total = 0, lost = 0;
  for (const double v : values) {
    const double next = total + v;
    lost += std::abs(total) >= std::abs(v) ? (total - next) + v : (v - next) + total;
    total = next;
  }
  return total + lost;
}

// `sorted`: ascending; position (n - 1) q, linear between neighbours (numpy's default).
double quantile(const std::vector<double>& sorted, double q) {
  const double position = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(position);
  const auto above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], position - static_cast<double>(below));
}

void check_settings(const BootstrapSettings& settings) {
  expect(settings.resamples >= 1, "a bootstrap needs at least one resample");
  expect(settings.level > 0 && settings.level < 1, "a bootstrap's level lies between 0 and 1");
}

// Means of resamples of `values`, ascending.
std::vector<double> resampled_means(std::span<const double> values, const BootstrapSettings& settings) {
  check_settings(settings);
  Random random(settings.seed);
  std::vector<double> means(static_cast<size_t>(settings.resamples));
  for (double& m : means) {
    double total = 0;
    for (size_t i = 0; i < values.size(); ++i) total += values[random.below(values.size())];
    m = total / static_cast<double>(values.size());
  }
  std::sort(means.begin(), means.end());
  return means;
}

Interval central(const std::vector<double>& sorted, double level) {
  return {quantile(sorted, (1 - level) / 2), quantile(sorted, (1 + level) / 2)};
}

}  // namespace

void check_sample(std::span<const double> values, const char* what) {
  if (values.empty()) throw BadData({what, "is empty", "a figure needs at least one value"});
  for (size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      throw BadData({std::string(what) + "[" + std::to_string(i) + "]", "is not a finite number",
                     "find out which item gave it; missing values are left out, not counted"});
}

double mean(std::span<const double> values) {
  check_sample(values, "mean: values");
  return sum(values) / static_cast<double>(values.size());
}

double standard_deviation(std::span<const double> values) {
  const double centre = mean(values);
  if (values.size() == 1) return std::numeric_limits<double>::quiet_NaN();
  std::vector<double> squares;
  for (const double v : values) squares.push_back((v - centre) * (v - centre));
  return std::sqrt(sum(squares) / static_cast<double>(values.size() - 1));
}

double standard_error(std::span<const double> values) {
  return standard_deviation(values) / std::sqrt(static_cast<double>(values.size()));
}

Ratio ratio_of_sums(std::span<const double> numerators, std::span<const double> denominators) {
  if (numerators.size() != denominators.size())
    throw BadData(
        {"ratio of sums",
         "got " + std::to_string(numerators.size()) + " and " + std::to_string(denominators.size()) + " values",
         "give both of each cluster"});
  check_sample(numerators, "ratio of sums: numerators");
  check_sample(denominators, "ratio of sums: denominators");
  const double whole = sum(denominators);
  if (whole == 0) throw BadData({"ratio of sums: denominators", "sum to 0", "count at least one"});
  const double value = sum(numerators) / whole;
  std::vector<double> residuals;  // their mean is 0
  for (size_t i = 0; i < numerators.size(); ++i) residuals.push_back(numerators[i] - value * denominators[i]);
  const auto clusters = static_cast<double>(residuals.size());
  return {value, standard_deviation(residuals) * std::sqrt(clusters) / whole};
}

Interval bootstrap_mean(std::span<const double> values, const BootstrapSettings& settings) {
  check_sample(values, "bootstrap: values");
  return central(resampled_means(values, settings), settings.level);
}

PairedDifference paired_bootstrap(std::span<const double> first, std::span<const double> second,
                                  const BootstrapSettings& settings) {
  if (first.size() != second.size())
    throw BadData({"paired bootstrap",
                   "got " + std::to_string(first.size()) + " and " + std::to_string(second.size()) + " values",
                   "both must be measured on the same items"});
  check_sample(first, "paired bootstrap: first");
  check_sample(second, "paired bootstrap: second");
  std::vector<double> differences(first.size());
  for (size_t i = 0; i < first.size(); ++i) differences[i] = first[i] - second[i];
  const auto means = resampled_means(differences, settings);
  PairedDifference result{mean(differences), central(means, settings.level), 1};
  const auto not_above = std::count_if(means.begin(), means.end(), [](double m) { return m <= 0; });
  const auto not_below = std::count_if(means.begin(), means.end(), [](double m) { return m >= 0; });
  const double share = static_cast<double>(std::min(not_above, not_below)) / static_cast<double>(means.size());
  result.p_value = std::min(1.0, 2 * share);
  return result;
}

}  // namespace cmc::metrics
