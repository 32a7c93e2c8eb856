#pragma once
#include <map>
#include <string>

namespace cmc::distributed {

// How tasks that have ended compare with their estimates, by stage.
class StageSpeeds {
 public:
  void record(const std::string& stage, double measured_seconds, double estimated_seconds);
  // Measured over estimated seconds of the stage's tasks that have ended; before any has, of all tasks; 1 before.
  double slowness(const std::string& stage) const;

 private:
  struct Sums {
    double measured = 0, estimated = 0;
  };
  std::map<std::string, Sums> stages_;
  Sums all_;
};

}  // namespace cmc::distributed
