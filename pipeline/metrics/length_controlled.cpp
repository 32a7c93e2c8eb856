#include "pipeline/metrics/length_controlled.hpp"

#include <cmath>
#include <string>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/metrics/logistic_regression.hpp"
#include "pipeline/metrics/summary.hpp"
#include "pipeline/metrics/win_rate.hpp"

namespace cmc::metrics {
namespace {

constexpr int folds = least_judged_pairs;
constexpr double weight_of_gamed = 0.2 / 2;  // alpaca_eval's lambda over two baselines

double difference(const JudgedPair& pair) {
  return static_cast<double>(pair.reference_length - pair.model_length);
}

// Columns: length, difficulty unless minimal, model.
class Design {
 public:
  explicit Design(LengthControl control) : difficult_(control != LengthControl::minimal) {
    rows.features = difficult_ ? 3 : 2;
  }

  void add(double length_difference, double difficulty, double target, bool is_gamed) {
    rows.x.push_back(std::tanh(length_difference));
    if (difficult_) rows.x.push_back(difficulty);
    rows.x.push_back(is_gamed ? 0.0 : 1.0);
    rows.targets.push_back(target);
    rows.weights.push_back(is_gamed ? weight_of_gamed : 1.0);
  }

  WeighedRows rows;

 private:
  bool difficult_;
};

}  // namespace

LengthControlledRate length_controlled_win_rate(std::span<const JudgedPair> pairs, LengthControl control,
                                                std::span<const GamedPair> gamed) {
  const bool regularised = control == LengthControl::v1, difficult = control != LengthControl::minimal;
  if (regularised && gamed.empty())
    throw BadData({"length-controlled win rate", "of the form v1 needs the gamed baselines",
                   "give their file, or ask for the form minimal"});
  LengthControlledRate rate;
  std::vector<double> differences;
  for (const auto& pair : pairs) {
    differences.push_back(difference(pair));
    rate.n += share_of_model(pair.preference) ? 1 : 0;
  }
  if (rate.n < folds)
    throw BadData({"length-controlled win rate", "has " + std::to_string(rate.n) + " judged pairs",
                   "let at least " + std::to_string(folds) + " be judged: it is chosen by five-fold cross-validation"});
  const double spread = standard_deviation(differences);
  Design design(control);
  if (regularised)
    for (const auto& row : gamed) design.add(row.length_difference, row.difficulty, row.preference, true);
  for (const auto& pair : pairs) {
    const auto share = share_of_model(pair.preference);
    if (share) design.add(spread > 0 ? difference(pair) / spread : 0.0, pair.difficulty, *share, false);
  }
  const auto fitted = cross_validated_l1_logistic(design.rows, folds);
  const auto& w = fitted.coefficients;
  rate.c = fitted.c;
  rate.weights = {w.front(), difficult ? w[1] : 0.0, w.back()};
  std::vector<double> predicted;
  for (const auto& pair : pairs) {
    const double z = (difficult ? rate.weights[1] * pair.difficulty : 0.0) + rate.weights[2];
    predicted.push_back(1 / (1 + std::exp(-z)));
  }
  rate.win_rate = 100 * mean(predicted);
  rate.standard_error = 100 * standard_error(predicted);
  return rate;
}

}  // namespace cmc::metrics
