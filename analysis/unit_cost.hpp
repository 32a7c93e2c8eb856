#pragma once
#include <string>

#include "pipeline/core/json.hpp"
#include "pipeline/records/figure.hpp"

namespace cmc::analysis {

// What a unit's cost says of `name`; NaN where it was not recorded.
inline double cost_of(const Json& cost, const std::string& name) {
  const bool known = cost.is_object() && cost.contains(name) && cost.at(name).is_number();
  return known ? cost.at(name).get<double>() : records::unknown;
}

}  // namespace cmc::analysis
