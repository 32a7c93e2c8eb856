#pragma once
#include <span>

namespace cmc::metrics {

// Throws BadData naming `what` (and the position) when `values` is empty or one of them is not finite.
void check_sample(std::span<const double> values, const char* what);

}  // namespace cmc::metrics
