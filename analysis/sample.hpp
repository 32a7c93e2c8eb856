#pragma once
#include <utility>
#include <vector>

#include "analysis/table.hpp"

namespace cmc::analysis {

// Mean, standard error (sample deviation / sqrt(n)) and n of the values that were measured (are finite). None: a dash.
Figure mean_figure(const std::vector<double>& values);

// A sum, or a single measurement: a figure without an error.
inline Figure plain_figure(double value) {
  return {value, unknown, 0, unknown};
}

// What several seeds say together: the mean of the seeds' figures (or what `rule` says), their sample standard
// deviation in place of a standard error, and the items of all. Seeds that measured nothing are left out; none: a dash.
Figure seed_figure(const std::vector<std::pair<int64_t, Figure>>& figures, OverSeeds rule = OverSeeds::mean);

}  // namespace cmc::analysis
