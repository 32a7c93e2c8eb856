#include "pipeline/distributed/cost_model.hpp"

#include <algorithm>
#include <vector>

namespace cmc::distributed {
namespace {

// Points of y = factor · x.
struct Points {
  std::vector<std::pair<double, double>> ratio_and_weight;
  void add(double x, double y) {
    if (x > 0) ratio_and_weight.emplace_back(y / x, x);
  }
  bool empty() const { return ratio_and_weight.empty(); }
};

// The factor with the least sum of |y − factor · x| is the median of y / x weighted by x.
double least_absolute_factor(Points points) {
  auto& all = points.ratio_and_weight;
  std::ranges::sort(all);
  double total = 0, below = 0;
  for (const auto& [ratio, weight] : all) total += weight;
  for (const auto& [ratio, weight] : all)
    if ((below += weight) >= total / 2) return ratio;
  return 1;
}

std::map<std::string, double> factors_of(std::span<const MeasuredTask> finished, double load, bool loaded_too) {
  std::map<std::string, Points> points;
  for (const MeasuredTask& one : finished)
    if (loaded_too || one.load_seconds == 0)
      points[one.stage].add(one.estimated_seconds, std::max(0.0, one.wall_seconds - load * one.load_seconds));
  std::map<std::string, double> factors;
  for (const auto& [stage, some] : points)
    if (!some.empty()) factors[stage] = least_absolute_factor(some);
  return factors;
}

double median(std::vector<double> values) {
  if (values.empty()) return 1;
  std::ranges::sort(values);
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

}  // namespace

// Tasks that loaded nothing tell their stages' factors, what the others took beyond that tells how long loading takes.
// A stage all of whose tasks loaded gets what loading leaves.
CostModel::CostModel(std::span<const MeasuredTask> finished) : factors_(factors_of(finished, 0, false)) {
  Points loads;
  for (const MeasuredTask& one : finished)
    if (const auto known = factors_.find(one.stage); known != factors_.end() && one.load_seconds > 0)
      loads.add(one.load_seconds, std::max(0.0, one.wall_seconds - known->second * one.estimated_seconds));
  if (!loads.empty()) load_ = least_absolute_factor(loads);
  factors_.merge(factors_of(finished, load_, true));
  std::vector<double> all;
  for (const auto& [stage, factor] : factors_) all.push_back(factor);
  elsewhere_ = median(all);
}

double CostModel::factor(const std::string& stage) const {
  const auto known = factors_.find(stage);
  return known == factors_.end() ? elsewhere_ : known->second;
}

Plan CostModel::calibrated(Plan plan) const {
  for (Task& task : plan.tasks) {
    task.seconds *= factor(task.stage);
    task.load_seconds *= load_;
  }
  return plan;
}

}  // namespace cmc::distributed
