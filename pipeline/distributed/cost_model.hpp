#pragma once
#include <map>
#include <span>
#include <string>

#include "pipeline/distributed/plan.hpp"

namespace cmc::distributed {

// What a finished task took.
struct MeasuredTask {
  std::string stage;
  double estimated_seconds = 0;  // on the ranks that ran it (seconds_on), without loading
  double load_seconds = 0;       // estimated time of what it loaded; 0 when its residency was there
  double wall_seconds = 0;       // measured, with loading
};

// Turns estimates into seconds of this machine: one factor for each stage and one for loading, fitted to finished
// tasks. Least absolute deviations, so that a few tasks that were disturbed or waited for a disk change nothing.
class CostModel {
 public:
  CostModel() = default;  // every factor is 1
  explicit CostModel(std::span<const MeasuredTask> finished);

  // Seconds per estimated second; of a stage none of whose tasks has finished: the median of the other stages'.
  double factor(const std::string& stage) const;
  double load_factor() const { return load_; }
  const std::map<std::string, double>& factors() const { return factors_; }  // of the stages with finished tasks

  Plan calibrated(Plan plan) const;

 private:
  std::map<std::string, double> factors_;
  double load_ = 1, elsewhere_ = 1;
};

}  // namespace cmc::distributed
