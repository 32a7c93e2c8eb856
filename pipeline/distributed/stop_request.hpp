#pragma once
#include <chrono>
#include <limits>
#include <optional>
#include <string>

namespace cmc::distributed {

using Deadline = std::chrono::system_clock::time_point;

// Watches for the wish that the run end at its next checkpoint: signal USR2 (Slurm's warning), INT or TERM, or the time
// limit coming near. A second INT ends the process at once with 130. At most one exists at a time; its destructor gives
// the signals back. Give `asked` to SchedulerSettings::stop and `seconds_left` to SchedulerSettings::seconds_left.
class StopRequest {
 public:
  // `reserve_seconds`: how long before the deadline the run is asked to stop.
  explicit StopRequest(std::optional<Deadline> deadline = {}, double reserve_seconds = 120);
  ~StopRequest();
  StopRequest(const StopRequest&) = delete;
  StopRequest& operator=(const StopRequest&) = delete;

  bool asked() const;
  // Until the run is asked to stop by time, not below 0; infinity without a deadline.
  double seconds_left() const;
  // "signal USR2", "time limit"; "" while not asked.
  std::string reason() const;

 private:
  std::optional<Deadline> deadline_;
  double reserve_seconds_;
};

// When Slurm will end this job: SLURM_JOB_END_TIME (s since 1970). Nothing outside a job or when it is no time.
std::optional<Deadline> slurm_deadline();

}  // namespace cmc::distributed
