#pragma once
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "pipeline/distributed/dispatcher.hpp"
#include "pipeline/distributed/mailbox.hpp"
#include "pipeline/distributed/scheduler_settings.hpp"
#include "pipeline/distributed/worker_thread.hpp"

namespace cmc::distributed {

// Rank 0's part of run_plan: turns messages and its own worker's reports into the dispatcher's events, and what the
// dispatcher decides into messages; gives the work of ranks that fall silent to others, and takes them back when they
// answer again. Rank 0 itself is watched by nobody.
class Coordinator {
 public:
  // All references outlive it.
  Coordinator(const Plan& plan, const std::vector<std::string>& finished, const Communicator& world,
              WorkerThread& worker, const SchedulerSettings& settings);
  Outcome run();

 private:
  using Clock = std::chrono::steady_clock;
  struct Running {
    double since = 0;
    bool failed = false;  // one rank of the group has
    double given_up = 0;  // when the others were told
  };
  double now() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }

  void leave_out_pauses();
  void read_mail();
  void take_report(int rank, const WorkerThread::Report& report);
  void give_up(const std::vector<int>& ranks, int assignment);
  void give_work();
  void check_stop();
  void name_stalled();
  void lose_silent_ranks();
  void lose(int rank);
  void hear_again(int rank, const Json& content);
  void tell_progress();
  Progress progress() const;
  void finish(Outcome& outcome);

  const Plan& plan_;
  WorkerThread& worker_;
  const SchedulerSettings& settings_;
  Dispatcher dispatcher_;
  Mailbox mailbox_;
  const int size_;
  Clock::time_point begin_ = Clock::now();
  std::vector<double> heard_;              // when each rank last wrote
  std::map<int, Running> running_;         // by assignment
  std::map<std::string, double> stalled_;  // what was named, and since when
  std::set<int> gone_;                     // ranks that have said good-bye
  std::map<int, Assignment> lost_;         // rank → what it has not reported (id 0: nothing)
  double told_ = -1;                       // when progress was last told
  double awake_ = 0;                       // when the loop last went round
  bool changed_ = true, stopping_ = false;
};

// How often a rank shows that it lives.
double heartbeat_seconds(const SchedulerSettings& settings);

}  // namespace cmc::distributed
