#include "pipeline/metrics/win_rate.hpp"

#include <string>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/metrics/summary.hpp"

namespace cmc::metrics {

std::optional<double> share_of_model(double preference) {
  if (preference == 0) return 0.5;
  if (!(preference >= 1 && preference <= 2)) return {};
  return preference - 1;
}

WinRate win_rate(std::span<const double> preferences) {
  WinRate result;
  std::vector<double> shares;  // of the model, 0 to 1
  for (const double preference : preferences) {
    const auto share = share_of_model(preference);
    if (!share) {
      ++result.missing;
      continue;
    }
    shares.push_back(*share);
    ++(*share > 0.5 ? result.wins : *share < 0.5 ? result.losses : result.draws);
  }
  if (shares.empty())
    throw BadData({"win rate", "has no preference among " + std::to_string(preferences.size()) + " pairs",
                   "let the judge annotate at least one pair (1 to 2)"});
  result.n = static_cast<int64_t>(shares.size());
  result.win_rate = 100 * mean(shares);
  result.standard_error = 100 * standard_error(shares);
  return result;
}

}  // namespace cmc::metrics
