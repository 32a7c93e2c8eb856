#pragma once
#include <cstddef>
#include <vector>

namespace cmc::metrics {

// Rows that a logistic regression is fitted to.
struct WeighedRows {
  size_t features = 0;
  std::vector<double> x;        // [rows, features]
  std::vector<double> targets;  // [rows] probability of 1
  std::vector<double> weights;  // [rows]
  size_t size() const { return targets.size(); }
  double at(const std::vector<double>& coefficients, size_t row) const;  // the linear predictor
};

// The minimum of Σ|w| + c Σ weight · cross-entropy, without an intercept: what liblinear's L1-regularised logistic
// regression tends to, by Newton steps along one coordinate at a time (Yuan et al. 2010).
std::vector<double> fit_l1_logistic(const WeighedRows& rows, double c);

struct CrossValidated {
  std::vector<double> coefficients;  // fitted to all rows
  double c = 0;
};
// With the c of ten from 1e-4 to 1e4 whose weighted log-loss, summed over the folds, is the least: scikit-learn's
// LogisticRegressionCV with rows dealt to the folds in turn.
CrossValidated cross_validated_l1_logistic(const WeighedRows& rows, int folds);

}  // namespace cmc::metrics
