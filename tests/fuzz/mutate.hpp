#pragma once
#include <string>
#include <vector>

#include "pipeline/core/random.hpp"

namespace cmc::fuzz {

// One to six changes of one of `seeds`: bits, bytes, ranges dropped, doubled or taken from another seed, pieces that
// readers trip over, numbers and length fields replaced. The same for the same `random`.
std::string mutate(const std::vector<std::string>& seeds, Random& random);

}  // namespace cmc::fuzz
