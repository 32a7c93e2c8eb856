#pragma once
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/core/named_enum.hpp"
#include "pipeline/distributed/plan.hpp"
#include "pipeline/distributed/stage_speeds.hpp"

namespace cmc::distributed {

// A task given to ranks.
struct Assignment {
  int id = 0;              // counts from 1
  int task = 0;            // index into the plan
  std::vector<int> ranks;  // the first is rank 0 of the group
  int loads = 0;    // how many of them do not hold the task's residency yet; a group that holds a model counts once
  int reloads = 0;  // of these, how many held it before and left it for another
  int tensor_group = 0;     // the same number: the same ranks, which kept their part of the model; 0: no such group
  double seconds = 0;       // estimated, with loading
  bool taken_over = false;  // from a rank that is lost
};

enum class Result { done, failed, stopped };
constexpr NamedEnum results("result", std::to_array<Named<Result>>({{Result::done, "done"},
                                                                    {Result::failed, "failed"},
                                                                    {Result::stopped, "stopped"}}));

struct Report {
  Result result = Result::done;
  std::string message = {};
  ExitCode code = ExitCode::internal;  // of a failure
};

// An assignment of which some ranks may have reported their part.
struct RunningTask {
  Assignment assignment;
  double started = 0;
  std::set<int> waiting;  // ranks that have not reported
  Report report = {};     // the first that is no success
  int reported_by = 0;    // the rank of that
};

// The tasks that ranks have now.
class RunningTasks {
 public:
  explicit RunningTasks(const Plan& plan) : plan_(plan) {}

  void start(Assignment assignment, double now);
  // Returns the ranks that shall give up the rest of it: those that have not reported when the first reports no
  // success.
  std::vector<int> report(int id, int rank, Report report);
  // Of an assignment all of whose ranks have reported.
  RunningTask take(int id);

  bool empty() const { return running_.empty(); }
  bool contains(int id) const { return running_.contains(id); }
  const RunningTask& at(int id) const { return running_.at(id); }
  const std::unordered_map<int, RunningTask>& all() const { return running_; }  // by id of the assignment

  double seconds() const { return seconds_; }  // of ranks, estimated, whole tasks
  // Estimated seconds of ranks that they still need.
  double work_left(double now, const StageSpeeds& speeds) const;
  // When the assignment is expected to end, not before `now`.
  double expected_end(int id, double now, const StageSpeeds& speeds) const;

 private:
  struct Started {  // sums over the ranks that have a stage's tasks now
    double work = 0, ranks = 0, at = 0;
  };
  void count(const RunningTask& one, int change);

  const Plan& plan_;
  std::unordered_map<int, RunningTask> running_;
  std::map<std::string, Started> stages_;
  double seconds_ = 0;
};

}  // namespace cmc::distributed
