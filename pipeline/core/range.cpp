#include "pipeline/core/range.hpp"

#include <cmath>
#include <cstdio>

namespace cmc {
namespace {

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.15g", value);
  return text;
}

}  // namespace

bool Range::holds(double value) const {
  return (above_least ? value > least : value >= least) && (below_most ? value < most : value <= most);
}

std::string text_of(const Range& range) {
  const std::string lower = (range.above_least ? "above " : "from ") + number(range.least);
  const std::string upper = (range.below_most ? "below " : "to ") + number(range.most);
  const bool has_least = std::isfinite(range.least), has_most = std::isfinite(range.most);
  return has_least && has_most ? lower + " " + upper : has_least ? lower : has_most ? upper : "";
}

}  // namespace cmc
