#include "analysis/contrast.hpp"

#include <algorithm>
#include <cmath>

#include "pipeline/metrics/summary.hpp"

namespace cmc::analysis {
namespace {

constexpr size_t fewest_items = 8;
constexpr double significant = 0.01, kept_share = 0.8;
// Standard normal quantiles of 1 - significant / 2 and of 0.8.
constexpr double two_sided = 2.5758, power = 0.8416;

// One figure of every seed, put together.
template <class Value>
Figure figure_of(const Samples& samples, Value value) {
  records::SeedFigures figures;
  for (const auto& [seed, pairs] : samples) {
    std::vector<double> values;
    for (const Pair& pair : pairs) values.push_back(value(pair));
    if (!values.empty()) figures.emplace_back(seed, records::mean_figure(values));
  }
  if (figures.empty()) return {};
  return figures.size() == 1 ? figures.front().second : records::seed_figure(figures);
}

double p_value(const Samples& samples) {
  std::vector<double> baseline, measured;
  for (const auto& sample : samples)
    for (const Pair& pair : sample.pairs) baseline.push_back(pair.baseline), measured.push_back(pair.measured);
  return baseline.size() < fewest_items ? unknown : metrics::paired_bootstrap(measured, baseline).p_value;
}

// Of all seeds' items together.
double detectable(const Samples& samples) {
  std::vector<double> differences;
  for (const auto& sample : samples)
    for (const Pair& pair : sample.pairs) differences.push_back(pair.measured - pair.baseline);
  return differences.size() < 2 ? unknown : (two_sided + power) * metrics::standard_error(differences);
}

bool every_seed(const Figure& difference, double sign) {
  if (difference.by_seed.empty()) return sign * difference.value > 0;
  return std::ranges::all_of(difference.by_seed, [&](const auto& seed) { return sign * seed.second > 0; });
}

}  // namespace

std::vector<Pair> paired(std::span<const records::Measurement> baseline,
                         std::span<const records::Measurement> measured) {
  std::vector<Pair> pairs;
  auto other = measured.begin();
  for (const auto& row : baseline) {
    while (other != measured.end() && other->item < row.item) ++other;
    if (other != measured.end() && other->item == row.item) pairs.push_back({row.value, other->value});
  }
  return pairs;
}

bool Contrast::is_undecided() const {
  return judged && !holds && claim != Claim::stays && p >= significant && detectable > relevant;
}

Contrast contrast(const std::string& measure, Claim claim, int digits, const Samples& samples) {
  Contrast result{measure, claim, digits};
  result.baseline = figure_of(samples, [](const Pair& pair) { return pair.baseline; });
  result.measured = figure_of(samples, [](const Pair& pair) { return pair.measured; });
  result.difference = figure_of(samples, [](const Pair& pair) { return pair.measured - pair.baseline; });
  result.p = p_value(samples);
  result.judged = !std::isnan(result.p);
  result.detectable = detectable(samples);
  result.relevant = (1 - kept_share) * std::abs(result.baseline.value);
  if (claim == Claim::stays)
    result.holds = result.judged && result.measured.value >= kept_share * result.baseline.value;
  else
    result.holds =
        result.judged && result.p < significant && every_seed(result.difference, claim == Claim::falls ? -1 : 1);
  return result;
}

}  // namespace cmc::analysis
