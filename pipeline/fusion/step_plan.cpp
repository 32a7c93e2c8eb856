#include "pipeline/fusion/step_plan.hpp"

#include <bit>

namespace cmc::fusion {

int64_t bucket_of(int64_t rows) {
  return rows == 0 ? 0 : static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(rows)));
}

}  // namespace cmc::fusion
