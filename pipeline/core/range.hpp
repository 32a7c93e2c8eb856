#pragma once
#include <limits>
#include <string>

namespace cmc {

// The numbers that a setting or an option takes, ends included unless it says above or below.
struct Range {
  double least = -std::numeric_limits<double>::infinity(), most = std::numeric_limits<double>::infinity();
  bool above_least = false, below_most = false;

  bool holds(double value) const;  // never NaN
};
std::string text_of(const Range& range);  // "from 1 to 65536", "above 0"; "": any

}  // namespace cmc
