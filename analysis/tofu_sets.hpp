#pragma once
#include <string>

#include "pipeline/metrics/tofu.hpp"

namespace cmc::analysis {

// The order of the paper's Table 2, and how it heads them.
struct ShownSet {
  metrics::TofuSet set;
  const char* title;
  std::string name() const { return std::string(metrics::name_of(set)); }
  bool forget() const { return set == metrics::TofuSet::forget; }
};
inline constexpr ShownSet tofu_sets[] = {{metrics::TofuSet::real_authors, "Real Authors"},
                                         {metrics::TofuSet::world_facts, "World Facts"},
                                         {metrics::TofuSet::retain, "Retain"},
                                         {metrics::TofuSet::forget, "Forget"}};

}  // namespace cmc::analysis
