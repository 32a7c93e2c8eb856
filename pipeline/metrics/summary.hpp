#pragma once
#include <cstdint>
#include <span>

namespace cmc::metrics {

// Each throws BadData on an empty sample.

double mean(std::span<const double> values);
double standard_deviation(std::span<const double> values);  // of the sample (n - 1); NaN for one value
double standard_error(std::span<const double> values);      // standard_deviation / sqrt(n)

// Sum of first over sum of second, as a share of all that the clusters hold, and its standard error by linearisation:
// the items of a cluster are not independent, clusters are (Cochran 1977, section 2.11). NaN for one cluster.
struct Ratio {
  double value = 0, standard_error = 0;
};
// Throws BadData where the sizes differ or the second ones sum to nothing.
Ratio ratio_of_sums(std::span<const double> numerators, std::span<const double> denominators);

struct Interval {
  double low = 0;
  double high = 0;
};

struct BootstrapSettings {
  uint64_t seed = 0;
  int resamples = 10000;
  double level = 0.95;  // in (0, 1)
};

// Percentile bootstrap interval of the mean (Efron 1979); quantiles interpolate linearly, as numpy's do.
Interval bootstrap_mean(std::span<const double> values, const BootstrapSettings& settings = {});

// The same items measured twice: mean of first - second, its interval, and how often the resampled difference has the
// other sign or is 0, doubled (a two-sided p-value, at most 1). Throws BadData where the sizes differ.
struct PairedDifference {
  double difference = 0;
  Interval interval;
  double p_value = 1;
};
PairedDifference paired_bootstrap(std::span<const double> first, std::span<const double> second,
                                  const BootstrapSettings& settings = {});

}  // namespace cmc::metrics
