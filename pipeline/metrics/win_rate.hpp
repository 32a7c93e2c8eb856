#pragma once
#include <cstdint>
#include <optional>
#include <span>

namespace cmc::metrics {

// What a preference gives the model, 0 to 1; a draw of older files, 0, gives half. Empty where it is none.
std::optional<double> share_of_model(double preference);

// AlpacaEval's leaderboard figures (alpaca_eval's get_winrate).
struct WinRate {
  double win_rate = 0;        // percent
  double standard_error = 0;  // percent: sample deviation over the square root of n; NaN where n = 1
  int64_t n = 0;              // annotated pairs
  int64_t missing = 0;        // pairs without a preference (NaN, or outside of [1, 2]), left out of the mean
  int64_t wins = 0;           // preference above 1.5
  int64_t losses = 0;         // below 1.5
  int64_t draws = 0;
};

// `preferences`: 1 the reference wins, 2 the model wins, 1.5 (or 0) a draw, anything between as a weighted judge gives
// it, NaN where the judge failed. Throws BadData when none is left.
WinRate win_rate(std::span<const double> preferences);

}  // namespace cmc::metrics
