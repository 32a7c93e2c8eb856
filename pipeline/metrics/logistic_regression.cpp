#include "pipeline/metrics/logistic_regression.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace cmc::metrics {
namespace {

double sigmoid(double z) {
  return z > 0 ? 1 / (1 + std::exp(-z)) : std::exp(z) / (1 + std::exp(z));
}

// log(1 + e^z), also where e^z overflows.
double softplus(double z) {
  return z > 0 ? z + std::log1p(std::exp(-z)) : std::log1p(std::exp(z));
}

// −t log σ(z) − (1 − t) log σ(−z).
double cross_entropy(double target, double z) {
  return target * softplus(-z) + (1 - target) * softplus(z);
}

class Fit {
 public:
  Fit(const WeighedRows& rows, double c) : rows_(rows), c_(c), w_(rows.features, 0.0), z_(rows.size(), 0.0) {}

  std::vector<double> run() {
    constexpr int sweeps = 1000;
    constexpr double still = 1e-11;
    for (int sweep = 0; sweep < sweeps; ++sweep) {
      double moved = 0;
      for (size_t j = 0; j < w_.size(); ++j) moved = std::max(moved, std::abs(step_along(j)));
      if (moved < still) break;
    }
    return w_;
  }

 private:
  double x(size_t row, size_t j) const { return rows_.x[row * rows_.features + j]; }

  // How much the objective changes where w_j becomes w_j + step.
  double change(size_t j, double step) const {
    double sum = 0;
    for (size_t i = 0; i < z_.size(); ++i)
      sum += rows_.weights[i] *
             (cross_entropy(rows_.targets[i], z_[i] + step * x(i, j)) - cross_entropy(rows_.targets[i], z_[i]));
    return c_ * sum + std::abs(w_[j] + step) - std::abs(w_[j]);
  }

  double step_along(size_t j) {
    double slope = 0, curvature = 1e-12;
    for (size_t i = 0; i < z_.size(); ++i) {
      const double p = sigmoid(z_[i]);
      slope += c_ * rows_.weights[i] * (p - rows_.targets[i]) * x(i, j);
      curvature += c_ * rows_.weights[i] * p * (1 - p) * x(i, j) * x(i, j);
    }
    double direction = -w_[j];
    if (slope + 1 <= curvature * w_[j])
      direction = -(slope + 1) / curvature;
    else if (slope - 1 >= curvature * w_[j])
      direction = -(slope - 1) / curvature;
    if (direction == 0) return 0;
    const double promised = slope * direction + std::abs(w_[j] + direction) - std::abs(w_[j]);
    double share = 1;
    while (share > 1e-10 && change(j, share * direction) > 0.01 * share * promised) share /= 2;
    if (share <= 1e-10) return 0;  // nothing to gain that a double can tell
    const double step = share * direction;
    w_[j] += step;
    for (size_t i = 0; i < z_.size(); ++i) z_[i] += step * x(i, j);
    return step;
  }

  const WeighedRows& rows_;
  double c_;
  std::vector<double> w_, z_;  // z: linear predictors
};

// As scikit-learn's GroupKFold deals groups of one size: in turn, the last first.
int fold_of(size_t row, size_t rows, int folds) {
  return static_cast<int>((rows - 1 - row) % static_cast<size_t>(folds));
}

WeighedRows part_of(const WeighedRows& rows, int folds, int fold, bool inside) {
  WeighedRows part{rows.features, {}, {}, {}};
  for (size_t i = 0; i < rows.size(); ++i) {
    if ((fold_of(i, rows.size(), folds) == fold) != inside) continue;
    for (size_t j = 0; j < rows.features; ++j) part.x.push_back(rows.x[i * rows.features + j]);
    part.targets.push_back(rows.targets[i]);
    part.weights.push_back(rows.weights[i]);
  }
  return part;
}

double mean_loss(const WeighedRows& rows, const std::vector<double>& coefficients) {
  double sum = 0;
  for (size_t i = 0; i < rows.size(); ++i)
    sum += rows.weights[i] * cross_entropy(rows.targets[i], rows.at(coefficients, i));
  return sum / static_cast<double>(rows.size());
}

}  // namespace

double WeighedRows::at(const std::vector<double>& coefficients, size_t row) const {
  double sum = 0;
  for (size_t j = 0; j < features; ++j) sum += coefficients[j] * x[row * features + j];
  return sum;
}

std::vector<double> fit_l1_logistic(const WeighedRows& rows, double c) {
  return Fit(rows, c).run();
}

CrossValidated cross_validated_l1_logistic(const WeighedRows& rows, int folds) {
  constexpr int choices = 10;
  CrossValidated best;
  double least = std::numeric_limits<double>::infinity();
  for (int k = 0; k < choices; ++k) {
    const double c = std::pow(10.0, -4 + 8.0 * k / (choices - 1));
    double loss = 0;
    for (int fold = 0; fold < folds; ++fold)
      loss += mean_loss(part_of(rows, folds, fold, true), fit_l1_logistic(part_of(rows, folds, fold, false), c));
    if (loss < least) least = loss, best.c = c;
  }
  best.coefficients = fit_l1_logistic(rows, best.c);
  return best;
}

}  // namespace cmc::metrics
