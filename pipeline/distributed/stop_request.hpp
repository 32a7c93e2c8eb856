#pragma once
#include <chrono>
#include <limits>
#include <optional>
#include <string>

namespace cmc::distributed {

using Deadline = std::chrono::system_clock::time_point;

// From here to the end of the process USR2, INT and TERM no longer end it: they ask a StopRequest, also one that is
// made later. A second INT ends the process at once with 130. Call it before MPI starts: what MPI's start is then for
// all ranks, that no rank works while a signal would still kill another. The signals are never given back: a rank that
// has nothing left to do waits for the merge of rank 0, and a signal in that time must not turn a finished run into a
// killed one.
void heed_stop_signals();

// The wish that the run end at its next checkpoint: signal USR2 (Slurm's warning), INT or TERM, or the time limit
// coming near. At most one exists at a time; its destructor forgets the signals that it has seen. Give `asked` to
// SchedulerSettings::stop and `seconds_left` to SchedulerSettings::seconds_left.
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

// When Slurm will end this job: SLURM_JOB_END_TIME (s since 1970). Nothing outside a job, or where it is no
// time to come: a job that still runs has not ended, so another one left it behind.
std::optional<Deadline> slurm_deadline();

}  // namespace cmc::distributed
