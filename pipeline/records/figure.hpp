#pragma once
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace cmc::records {

inline constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

// A measured figure. What is NaN (or n = 0) was not measured and is shown as a dash, never as zero.
struct Figure {
  double value = unknown;
  double standard_error = unknown;  // over the n items; unknown for a mean over seeds
  int64_t n = 0;                    // items `value` is the mean over, those of all seeds together; 0: not a mean
  double paper = unknown;           // the paper's figure for the same thing, where it is known

  // Of a mean over seeds: each seed's figure (NaN: that seed did not measure it) and their sample standard deviation,
  // unknown below two. Empty for one seed, and for what was measured once for all seeds.
  std::vector<std::pair<int64_t, double>> by_seed = {};
  double seed_deviation = unknown;
};

// mean: with its deviation; largest: of p-values, whose mean says nothing; same: of counts, once where all agree.
enum class OverSeeds { mean, largest, same };

// Mean, standard error (sample deviation / sqrt(n)) and n of the values that were measured (are finite). None: a dash.
Figure mean_figure(const std::vector<double>& values);

// A sum, or a single measurement: a figure without an error.
inline Figure plain_figure(double value) {
  return {value, unknown, 0, unknown};
}

using SeedFigures = std::vector<std::pair<int64_t, Figure>>;

// What several seeds say together: the mean of the seeds' figures (or what `rule` says), their sample standard
// deviation in place of a standard error, and the items of all. Seeds that measured nothing are left out; none: a dash.
Figure seed_figure(const SeedFigures& figures, OverSeeds rule = OverSeeds::mean);

// The same, where every seed may say what was measured once for all of them (`fixed`): then it stays that measurement.
Figure seed_figure(const SeedFigures& figures, const Figure* fixed, OverSeeds rule);

}  // namespace cmc::records
