#include "pipeline/checkpoint/alibi.hpp"

#include <bit>
#include <cmath>

namespace cmc::checkpoint {

std::vector<double> alibi_slopes(int64_t heads) {
  const auto below = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(heads)));
  std::vector<double> slopes;
  const auto add = [&](int64_t number, int64_t of) {
    slopes.push_back(std::pow(2.0, -8.0 * static_cast<double>(number) / static_cast<double>(of)));
  };
  for (int64_t i = 1; i <= below; ++i) add(i, below);
  for (int64_t i = 1; std::ssize(slopes) < heads; i += 2) add(i, 2 * below);
  return slopes;
}

}  // namespace cmc::checkpoint
