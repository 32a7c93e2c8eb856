#include "pipeline/distributed/dispatcher.hpp"

#include <algorithm>
#include <utility>

namespace cmc::distributed {

Dispatcher::Dispatcher(const Plan& plan, const std::vector<std::string>& finished, int ranks, DispatchRules rules)
    : rules_(std::move(rules)), state_(plan, finished, ranks, rules_.nodes), policy_(state_, rules_) {}

std::vector<int> Dispatcher::report(double now, int id, int rank, Report report) {
  const std::vector<int> give_up = state_.running.report(id, rank, std::move(report));
  const RunningTask& one = state_.running.at(id);
  if (one.assignment.tensor_group > 0)
    state_.pool.reserve(rank);  // such a group is free when all of it is
  else
    state_.pool.release(rank);
  if (one.waiting.empty()) end(now, id);
  return give_up;
}

std::vector<int> Dispatcher::lost(double now, int rank) {
  RankPool& pool = state_.pool;
  if (pool.state(rank) == RankPool::State::lost) return {};
  std::vector<int> give_up;
  if (const int id = assignment_of(rank); id > 0) {
    state_.graph.take_over(state_.running.at(id).assignment.task);
    give_up = report(now, id, rank, {Result::failed, "rank " + std::to_string(rank) + " was lost"});
  }
  std::optional<GroupInMaking>& making = state_.making;
  if (making && std::erase(making->ranks, rank) > 0 && making->ranks.empty() && making->places.empty())
    cancel_gathering();
  pool.lose(rank);
  if (!making) return give_up;
  if (making->places.empty()) making->wanted = std::min<size_t>(making->wanted, std::max(pool.alive(), 1));
  if (making->places.contains(pool.node(rank))) cancel_gathering();  // other nodes may be better now
  return give_up;
}

void Dispatcher::found(int rank) {
  if (state_.pool.state(rank) == RankPool::State::lost) state_.pool.find(rank);
}

void Dispatcher::done_late(int task) {
  if (std::ranges::find(state_.graph.retries(), task) == state_.graph.retries().end()) return;
  state_.graph.take(task);
  finish(task);
}

int Dispatcher::assignment_of(int rank) const {
  return state_.pool.state(rank) == RankPool::State::busy ? state_.pool.assignment(rank) : 0;
}

void Dispatcher::end(double now, int id) {
  const RunningTask ended = state_.running.take(id);
  const Assignment& assignment = ended.assignment;
  const Result result = ended.report.result;
  const bool kept = state_.graph.bundle(state_.graph.bundle_of(assignment.task)).residency.kept;
  if (assignment.tensor_group > 0)
    state_.pool.end_group_task(assignment.tensor_group, kept && result != Result::failed);
  if (result == Result::failed) return retry_or_fail(ended);
  if (result == Result::stopped) {
    stop_ = left_by_stop_ = true;
    return state_.graph.interrupt(assignment.task);
  }
  state_.speeds.record(state_.graph.task(assignment.task).stage, now - ended.started, assignment.seconds);
  finish(assignment.task);
}

void Dispatcher::finish(int task) {
  state_.graph.finish(task);
  disk_failures_ = 0;
}

void Dispatcher::retry_or_fail(const RunningTask& failed) {
  const int task = failed.assignment.task;
  const auto& [result, message, code] = failed.report;
  const bool disk = is_disk_failure(code);
  if (disk) ++disk_failures_;
  if (state_.graph.attempts(task) < rules_.attempts && disk_failures_ < rules_.attempts)
    return state_.graph.retry(task, failed.reported_by);
  const Task& work = state_.graph.task(task);
  failures_.push_back({work.key, work.name, message, failed.reported_by, code});
  disk_failed_ = disk_failed_ || disk;
  state_.graph.fail(task);
}

double Dispatcher::work_left() const {
  double left = 0;
  for (const auto& [stage, seconds] : state_.graph.remaining_by_stage())
    left += seconds * state_.speeds.slowness(stage);
  return left;
}

bool Dispatcher::complete() const {
  const TaskGraph& graph = state_.graph;
  if (!state_.running.empty()) return false;
  if (stop_ || disk_failed_ || state_.pool.alive() == 0) return true;
  const auto can_start = [&](int id) { return policy_.can_ever_start(id); };
  return !state_.making && std::ranges::none_of(graph.ready_bundles(), can_start) &&
         std::ranges::none_of(graph.retries(), can_start, [&](int task) { return graph.bundle_of(task); });
}

Outcome Dispatcher::outcome() const {
  using State = TaskGraph::State;
  const TaskGraph& graph = state_.graph;
  Outcome outcome{graph.done(), failures_, {}, left_by_stop_};
  for (int task = 0; task < std::ssize(graph.plan().tasks); ++task) {
    const State state = graph.state(task);
    if (state == State::done || state == State::failed) continue;
    outcome.not_run.push_back(graph.task(task).key);
    outcome.stopped = outcome.stopped || (stop_ && state != State::not_run);
  }
  return outcome;
}

}  // namespace cmc::distributed
