#include "pipeline/distributed/stage_speeds.hpp"

namespace cmc::distributed {

void StageSpeeds::record(const std::string& stage, double measured_seconds, double estimated_seconds) {
  for (Sums* sums : {&stages_[stage], &all_}) sums->measured += measured_seconds, sums->estimated += estimated_seconds;
}

double StageSpeeds::slowness(const std::string& stage) const {
  const auto own = stages_.find(stage);
  const Sums& sums = own != stages_.end() && own->second.estimated > 0 ? own->second : all_;
  return sums.estimated > 0 ? sums.measured / sums.estimated : 1;
}

}  // namespace cmc::distributed
