#include "pipeline/distributed/running_tasks.hpp"

#include <algorithm>

namespace cmc::distributed {

void RunningTasks::start(Assignment assignment, double now) {
  const std::set<int> waiting(assignment.ranks.begin(), assignment.ranks.end());
  const int id = assignment.id;
  RunningTask& one = running_[id];
  one = {.assignment = std::move(assignment), .started = now, .waiting = waiting};
  count(one, 1);
}

std::vector<int> RunningTasks::report(int id, int rank, Report report) {
  const auto found = running_.find(id);
  expect(found != running_.end() && found->second.waiting.erase(rank) == 1, "a rank reports its own assignment once");
  RunningTask& one = found->second;
  if (report.result == Result::done || one.report.result != Result::done) return {};
  one.report = std::move(report), one.reported_by = rank;
  return {one.waiting.begin(), one.waiting.end()};
}

RunningTask RunningTasks::take(int id) {
  expect(running_.at(id).waiting.empty(), "an assignment ends when all its ranks have reported");
  RunningTask one = std::move(running_.extract(id).mapped());
  count(one, -1);
  return one;
}

void RunningTasks::count(const RunningTask& one, int change) {
  const Task& task = plan_.tasks[one.assignment.task];
  const double ranks = change * static_cast<double>(one.assignment.ranks.size());
  seconds_ += change * rank_seconds(task);
  Started& started = stages_[task.stage];
  started.work += ranks * one.assignment.seconds, started.ranks += ranks, started.at += ranks * one.started;
}

double RunningTasks::work_left(double now, const StageSpeeds& speeds) const {
  double left = 0;
  for (const auto& [stage, started] : stages_)
    left += std::max(0.0, started.work - (started.ranks * now - started.at) / speeds.slowness(stage));
  return left;
}

double RunningTasks::expected_end(int id, double now, const StageSpeeds& speeds) const {
  const RunningTask& one = running_.at(id);
  const std::string& stage = plan_.tasks[one.assignment.task].stage;
  return std::max(now, one.started + one.assignment.seconds * speeds.slowness(stage));
}

}  // namespace cmc::distributed
