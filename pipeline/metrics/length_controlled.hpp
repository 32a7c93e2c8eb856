#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace cmc::metrics {

// AlpacaEval's length-controlled win rate (Dubois et al. 2024; alpaca_eval's metrics/glm_winrate.py): a logistic
// regression explains the preferences by the difference of lengths, by how hard an instruction is and by the model; the
// rate is what it predicts for equal lengths.
enum class LengthControl {
  v1,       // the leaderboard's: fitted together with two gamed baselines
  noreg,    // without them
  minimal,  // without difficulties either, for which nothing has to be at hand
};

// One instruction, in the data set's order.
struct JudgedPair {
  double preference = 0;                           // 1 the reference wins … 2 the model; 0 a draw; NaN: not judged
  int64_t reference_length = 0, model_length = 0;  // of the outputs, code points
  double difficulty = 0;                           // read by v1 and noreg
};

// A row of the gamed baselines.
struct GamedPair {
  double preference = 0;         // 0 to 1
  double length_difference = 0;  // of reference and model, over its standard deviation
  double difficulty = 0;
};

struct LengthControlledRate {
  double win_rate = 0;              // percent, over all instructions, those that were not judged too
  double standard_error = 0;        // percent, of the predictions
  std::array<double, 3> weights{};  // of length, difficulty (0 in minimal), model
  double c = 0;                     // inverse of the penalty that five-fold cross-validation chose
  int64_t n = 0;                    // judged pairs
};

inline constexpr size_t least_judged_pairs = 5;  // one for each fold

// Throws BadData where fewer than five pairs are judged, and where v1 has no gamed baselines.
LengthControlledRate length_controlled_win_rate(std::span<const JudgedPair> pairs, LengthControl control,
                                                std::span<const GamedPair> gamed = {});

}  // namespace cmc::metrics
