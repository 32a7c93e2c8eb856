#include "pipeline/distributed/task_graph.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "pipeline/core/error.hpp"

namespace cmc::distributed {

TaskGraph::TaskGraph(const Plan& plan, const std::vector<std::string>& finished, int ranks)
    : plan_(plan), nodes_(plan.tasks.size()), bundles_(1) {  // bundle 0: tasks without residency
  const auto critical = distributed::critical_seconds(plan, ranks);
  const std::unordered_set<std::string> known(finished.begin(), finished.end());
  std::unordered_map<std::string, int> place;
  BundleNumbers numbers = {{{"", 1, 1}, 0}};
  for (int i = 0; i < static_cast<int>(nodes_.size()); ++i) {
    const Task& task = plan_.tasks[i];
    Node& node = nodes_[i];
    node.critical_seconds = critical[i];
    place.emplace(task.key, i);
    if (known.contains(task.key)) {
      node.state = State::done;
      continue;
    }
    add(i, numbers);
    for (const std::string& input : task.inputs) {
      Node& needed = nodes_[place.at(input)];
      if (needed.state == State::done) continue;
      needed.dependents.push_back(i), ++node.missing;
      if (needed.bundle != node.bundle) ++node.foreign;
    }
    bundles_[node.bundle].foreign += node.foreign;
    if (node.missing == 0) make_ready(i);
  }
  total_seconds_ = remaining_seconds_;
}

// Counts an unfinished task, and puts it into its bundle.
void TaskGraph::add(int id, BundleNumbers& numbers) {
  const Task& task = plan_.tasks[id];
  const bool resident = !task.residency.empty();
  const int next = static_cast<int>(bundles_.size());
  const int number = nodes_[id].bundle =
      numbers.emplace(std::tuple(task.residency, task.tensor_parallel, task.pipeline_parallel), next).first->second;
  if (number == next) bundles_.emplace_back().residency = {task.tensor_parallel, task.pipeline_parallel, resident};
  Bundle& bundle = bundles_[number];
  if (resident) bundle.load_seconds = std::max(bundle.load_seconds, task.load_seconds);
  ++bundle.open, bundle.open_seconds += rank_seconds(task);
  ++total_, remaining_seconds_ += rank_seconds(task), remaining_by_stage_[task.stage] += rank_seconds(task);
}

std::vector<Residency> TaskGraph::residencies() const {
  std::vector<Residency> all;
  for (const Bundle& bundle : bundles_) all.push_back(bundle.residency);
  return all;
}

void TaskGraph::make_ready(int task) {
  Node& node = nodes_[task];
  Bundle& bundle = bundles_[node.bundle];
  node.state = State::ready;
  bundle.ready.emplace(-node.critical_seconds, task);
  bundle.ready_seconds += rank_seconds(plan_.tasks[task]);
  ready_seconds_ += rank_seconds(plan_.tasks[task]);
  ready_.insert(node.bundle);
}

void TaskGraph::take(int task) {
  if (std::erase(retries_, task) > 0) return;
  Bundle& bundle = bundles_[nodes_[task].bundle];
  expect(bundle.ready.erase({-nodes_[task].critical_seconds, task}) == 1, "a task is taken from its queue once");
  bundle.ready_seconds -= rank_seconds(plan_.tasks[task]);
  ready_seconds_ -= rank_seconds(plan_.tasks[task]);
  if (bundle.ready.empty()) ready_.erase(nodes_[task].bundle), bundle.ready_seconds = 0;
}

void TaskGraph::give_back(int task) {
  if (nodes_[task].failed_on != none)
    retries_.push_back(task);
  else
    make_ready(task);
}

void TaskGraph::start(int task) {
  nodes_[task].state = State::running, ++nodes_[task].attempts;
}

void TaskGraph::finish(int task) {
  close(task, State::done);
  ++done_;
  for (const int next : nodes_[task].dependents) {
    Node& node = nodes_[next];
    if (node.state != State::blocked) continue;
    if (node.bundle != nodes_[task].bundle) --node.foreign, --bundles_[node.bundle].foreign;
    if (--node.missing == 0) make_ready(next);
  }
}

void TaskGraph::retry(int task, int failed_on) {
  nodes_[task].state = State::ready, nodes_[task].failed_on = failed_on;
  retries_.push_back(task);
}

void TaskGraph::take_over(int task) {
  --nodes_[task].attempts, nodes_[task].taken_over = true;
}

void TaskGraph::fail(int task) {
  close(task, State::failed);
  drop_dependents(task);
}

void TaskGraph::drop(int task) {
  close(task, State::not_run);
  drop_dependents(task);
}

void TaskGraph::interrupt(int task) {
  close(task, State::not_run);
}

void TaskGraph::close(int task, State state) {
  Node& node = nodes_[task];
  const double seconds = rank_seconds(plan_.tasks[task]);
  node.state = state;
  Bundle& bundle = bundles_[node.bundle];
  --bundle.open, bundle.open_seconds -= seconds;
  bundle.foreign -= std::exchange(node.foreign, 0);
  remaining_seconds_ -= seconds;
  remaining_by_stage_[plan_.tasks[task].stage] -= seconds;
}

// Depth first over all that needed `task`, directly or not.
void TaskGraph::drop_dependents(int task) {
  std::vector<int> stack = nodes_[task].dependents;
  while (!stack.empty()) {
    const int next = stack.back();
    stack.pop_back();
    if (nodes_[next].state != State::blocked) continue;
    close(next, State::not_run);
    stack.insert(stack.end(), nodes_[next].dependents.begin(), nodes_[next].dependents.end());
  }
}

}  // namespace cmc::distributed
