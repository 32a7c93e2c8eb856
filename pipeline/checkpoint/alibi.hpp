#pragma once
#include <cstdint>
#include <vector>

namespace cmc::checkpoint {

// ALiBi's slopes (Press et al. 2022) as transformers makes them: 2^(-8 i / n), i = 1 … n, for n heads a power of two;
// for other counts those of the power below, then every other one of the power above. [heads]
std::vector<double> alibi_slopes(int64_t heads);

}  // namespace cmc::checkpoint
