#pragma once
#include <string>
#include <utility>
#include <vector>

#include "analysis/record.hpp"

namespace cmc::analysis {

// What a first-time reader asks before any figure: on which models, what was compared, over how many items and seeds.
using Overview = std::vector<std::pair<std::string, std::string>>;  // label, text
Overview overview_of(const Record& record);

}  // namespace cmc::analysis
