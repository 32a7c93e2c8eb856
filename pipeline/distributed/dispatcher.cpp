#include "pipeline/distributed/dispatcher.hpp"

#include <algorithm>
#include <unordered_set>

#include "pipeline/core/error.hpp"

namespace cmc::distributed {

Dispatcher::Dispatcher(const Plan& plan, const std::vector<std::string>& finished, int ranks, DispatchRules rules)
    : plan_(plan), rules_(rules), items_(plan.tasks.size()), ranks_(ranks), alive_(ranks) {
  for (int rank = 0; rank < ranks; ++rank) {
    free_.insert(free_.end(), rank);
    const int node = ranks_[rank].node = rules_.nodes.empty() ? 0 : rules_.nodes.at(rank);
    if (node >= static_cast<int>(nodes_.size())) nodes_.resize(node + 1);
    ++nodes_[node].free, ++nodes_[node].alive;
  }
  const auto critical = critical_seconds(plan, ranks);
  for (size_t i = 0; i < items_.size(); ++i) items_[i].critical = critical[i];
  add_tasks(finished);
}

void Dispatcher::add_tasks(const std::vector<std::string>& finished) {
  const std::unordered_set<std::string> known(finished.begin(), finished.end());
  std::unordered_map<std::string, int> place;
  std::map<std::pair<std::string, int>, int> bundle_of = {{{"", 1}, 0}};
  bundles_.resize(1);  // bundle 0: tasks without residency
  for (int i = 0; i < static_cast<int>(items_.size()); ++i) {
    const Task& task = plan_.tasks[i];
    Item& item = items_[i];
    place.emplace(task.key, i);
    if (known.contains(task.key)) {
      item.state = State::done;
      continue;
    }
    const int next = static_cast<int>(bundles_.size());
    item.bundle = bundle_of.emplace(std::pair(task.residency, task.tensor_parallel), next).first->second;
    if (item.bundle == next) {
      Bundle& bundle = bundles_.emplace_back();
      bundle.resident = !task.residency.empty();
      bundle.tensor_parallel = task.tensor_parallel;
    }
    if (!task.residency.empty()) bundles_[item.bundle].load = std::max(bundles_[item.bundle].load, task.load_seconds);
    bundles_[item.bundle].open_seconds += task.seconds;
    ++bundles_[item.bundle].open, ++total_, remaining_ += task.seconds;
    speeds_[task.stage].remaining += task.seconds;
    for (const std::string& input : task.inputs) {
      const int needed = place.at(input);
      if (items_[needed].state == State::done) continue;
      items_[needed].dependents.push_back(i), ++item.missing;
      if (items_[needed].bundle != item.bundle) ++item.foreign;
    }
    bundles_[item.bundle].foreign += item.foreign;
    if (item.missing == 0) make_ready(i);
  }
  work_total_ = remaining_;
}

void Dispatcher::make_ready(int task) {
  Item& item = items_[task];
  Bundle& bundle = bundles_[item.bundle];
  item.state = State::ready;
  bundle.ready.emplace(-item.critical, task);
  bundle.ready_seconds += plan_.tasks[task].seconds;
  ready_seconds_ += plan_.tasks[task].seconds;
  active_.insert(item.bundle);
}

void Dispatcher::take_from_queue(int task) {
  Bundle& bundle = bundles_[items_[task].bundle];
  if (bundle.ready.erase({-items_[task].critical, task}) == 0) return;  // a retry
  bundle.ready_seconds -= plan_.tasks[task].seconds;
  ready_seconds_ -= plan_.tasks[task].seconds;
  if (bundle.ready.empty()) active_.erase(items_[task].bundle), bundle.ready_seconds = 0;
}

void Dispatcher::close(int task, State state) {
  Item& item = items_[task];
  item.state = state;
  --bundles_[item.bundle].open, bundles_[item.bundle].open_seconds -= plan_.tasks[task].seconds;
  bundles_[item.bundle].foreign -= std::exchange(item.foreign, 0);
  remaining_ -= plan_.tasks[task].seconds;
  speeds_[plan_.tasks[task].stage].remaining -= plan_.tasks[task].seconds;
}

// Depth first over all that needed `task`, directly or not.
void Dispatcher::drop_dependents(int task) {
  std::vector<int> stack = items_[task].dependents;
  while (!stack.empty()) {
    const int next = stack.back();
    stack.pop_back();
    if (items_[next].state != State::blocked) continue;
    close(next, State::not_run);
    stack.insert(stack.end(), items_[next].dependents.begin(), items_[next].dependents.end());
  }
}

std::vector<int> Dispatcher::report(double now, int id, int rank, Result result, const std::string& message,
                                    ExitCode code) {
  const auto found = endings_.find(id);
  expect(found != endings_.end() && found->second.waiting.erase(rank) == 1, "a rank reports its own assignment once");
  Ending& ending = found->second;
  // A gang is free when all of it is.
  set_state(rank, running_.at(id).tensor_group > 0 ? Rank::State::gathered : Rank::State::free);
  std::vector<int> give_up;
  if (result != Result::done && ending.result == Result::done) {
    ending.result = result, ending.message = message, ending.rank = rank, ending.code = code;
    give_up.assign(ending.waiting.begin(), ending.waiting.end());
  }
  if (ending.waiting.empty()) {
    const Ending ended = std::move(ending);
    endings_.erase(found);
    end(now, id, ended);
  }
  return give_up;
}

std::vector<int> Dispatcher::lost(double now, int rank) {
  Rank& one = ranks_[rank];
  std::vector<int> give_up;
  if (one.state == Rank::State::lost) return give_up;
  if (one.state == Rank::State::busy) {
    Item& item = items_[running_.at(one.assignment).task];
    --item.attempts, item.taken_over = true;
    give_up = report(now, one.assignment, rank, Result::failed, "rank " + std::to_string(rank) + " was lost");
  }
  if (std::erase(gather_.ranks, rank) > 0 && gather_.ranks.empty() && gather_.node == nothing) cancel_gathering();
  set_state(rank, Rank::State::lost);
  hold(rank, nothing);
  one.tensor_group = 0;
  --alive_, --nodes_[one.node].alive;
  forget_held(rank);
  if (gather_.node == nothing) gather_.wanted = std::min<size_t>(gather_.wanted, std::max(alive_, 1));
  if (gather_.node == one.node) cancel_gathering();  // another node may be better now
  return give_up;
}

void Dispatcher::found(int rank) {
  if (ranks_[rank].state != Rank::State::lost) return;
  ++alive_, ++nodes_[ranks_[rank].node].alive;
  set_state(rank, Rank::State::free);
}

void Dispatcher::done_late(int task) {
  if (std::erase(retries_, task) > 0) finish(task);
}

std::vector<int> Dispatcher::awaited(int id) const {
  const auto& waiting = endings_.at(id).waiting;
  return {waiting.begin(), waiting.end()};
}

int Dispatcher::assignment_of(int rank) const {
  return ranks_[rank].state == Rank::State::busy ? ranks_[rank].assignment : 0;
}

void Dispatcher::end(double now, int id, const Ending& ending) {
  const Assignment assignment = std::move(running_.extract(id).mapped());
  const int task = assignment.task;
  count_running(assignment, ending.started, -1);
  if (assignment.tensor_group > 0) end_gang_task(assignment, ending.result);
  if (ending.result == Result::failed) return retry_or_fail(task, ending);
  if (ending.result == Result::stopped) {
    stop_ = left_by_stop_ = true;
    return close(task, State::not_run);
  }
  for (Speed* speed : {&speeds_[plan_.tasks[task].stage], &all_})
    speed->measured += now - ending.started, speed->estimated += assignment.seconds;
  finish(task);
}

void Dispatcher::count_running(const Assignment& assignment, double started, int change) {
  const Task& task = plan_.tasks[assignment.task];
  const double ranks = change * static_cast<double>(assignment.ranks.size());
  running_seconds_ += change * task.seconds;
  Speed& speed = speeds_[task.stage];
  speed.started_work += ranks * assignment.seconds, speed.started_ranks += ranks, speed.started_at += ranks * started;
}

void Dispatcher::finish(int task) {
  close(task, State::done);
  ++done_, disk_failures_ = 0;
  for (const int next : items_[task].dependents) {
    Item& item = items_[next];
    if (item.state != State::blocked) continue;
    if (item.bundle != items_[task].bundle) --item.foreign, --bundles_[item.bundle].foreign;
    if (--item.missing == 0) make_ready(next);
  }
}

void Dispatcher::retry_or_fail(int task, const Ending& ending) {
  Item& item = items_[task];
  const bool disk = is_disk_failure(ending.code);
  if (disk) ++disk_failures_;
  if (item.attempts < rules_.attempts && disk_failures_ < rules_.attempts) {
    item.state = State::ready, item.avoid = ending.rank;
    retries_.push_back(task);
    return;
  }
  failures_.push_back({plan_.tasks[task].key, plan_.tasks[task].name, ending.message, ending.rank, ending.code});
  disk_failed_ = disk_failed_ || disk;
  close(task, State::failed);
  drop_dependents(task);
}

double Dispatcher::slowness(const std::string& stage) const {
  const Speed& own = speeds_.at(stage);
  const Speed& speed = own.estimated > 0 ? own : all_;
  return speed.estimated > 0 ? speed.measured / speed.estimated : 1;
}

double Dispatcher::work_left() const {
  double left = 0;
  for (const auto& [stage, speed] : speeds_) left += speed.remaining * slowness(stage);
  return left;
}

bool Dispatcher::complete() const {
  if (!running_.empty()) return false;
  if (stop_ || disk_failed_ || alive_ == 0) return true;
  // Ranks that are lost may leave no node for a gang.
  const auto can_start = [&](int id) { return bundles_[id].tensor_parallel == 1 || can_host(bundles_[id].tensor_parallel); };
  return gather_.task == nothing && std::ranges::none_of(active_, can_start) &&
         std::ranges::none_of(retries_, [&](int task) { return can_start(items_[task].bundle); });
}

Outcome Dispatcher::outcome() const {
  Outcome outcome{done_, failures_, {}, left_by_stop_};
  for (size_t i = 0; i < items_.size(); ++i) {
    const State state = items_[i].state;
    if (state == State::done || state == State::failed) continue;
    outcome.not_run.push_back(plan_.tasks[i].key);
    outcome.stopped = outcome.stopped || (stop_ && state != State::not_run);
  }
  return outcome;
}

}  // namespace cmc::distributed
