#pragma once
#include <vector>

#include "analysis/table.hpp"

namespace cmc::analysis {

// Mean, standard error (sample deviation / sqrt(n)) and n of the values that were measured (are finite). None: a dash.
Figure mean_figure(const std::vector<double>& values);

// A count or a sum: a figure without an error.
inline Figure plain_figure(double value) {
  return {value, unknown, 0, unknown};
}

}  // namespace cmc::analysis
