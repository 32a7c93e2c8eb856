#pragma once
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "pipeline/distributed/running_tasks.hpp"
#include "pipeline/distributed/scheduler_settings.hpp"

namespace cmc::distributed {

// Runs a rank's tasks one after the other on one thread, so that the main thread can go on answering the other ranks.
class WorkerThread {
 public:
  // All arguments outlive the worker.
  WorkerThread(const Plan& plan, const Communicator& world, const RunTask& run);
  ~WorkerThread();  // tells a running group to give up and waits for the task to end

  struct Job {
    int id = 0, task = 0;    // assignment, index into the plan
    std::vector<int> ranks;  // of the group
    int tensor_group = 0;    // see Assignment
    bool taken_over = false;
  };
  struct Report {
    int id = 0;
    Result result = Result::done;
    std::string message;
    ExitCode code = ExitCode::done;
  };

  void start(Job job);                         // the worker is idle
  void abandon(int id);                        // another rank of the group failed: collectives that wait throw
  std::optional<Report> wait(double seconds);  // the report of a job that ended, at most `seconds` from now

 private:
  void work();
  Report run(const Job& job, const std::stop_token& abandoned);
  Communicator group_of(const Job& job, const std::stop_token& abandoned);

  const Plan& plan_;
  const Communicator& world_;
  const RunTask& run_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Job> job_;
  std::optional<Report> report_;
  std::stop_source abandoned_;
  int current_ = 0, current_tensor_group_ = 0;
  Communicator tensor_group_;    // of the worker's thread
  int tensor_group_number_ = 0;  // of tensor_group_
  bool quit_ = false;
  std::thread thread_;  // last: starts when all else is there
};

}  // namespace cmc::distributed
