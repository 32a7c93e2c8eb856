#include "pipeline/dist/dispatcher.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>
#include <unordered_set>

#include "pipeline/core/error.hpp"

namespace cmc::dist {

Dispatcher::Dispatcher(const Plan& plan, const std::vector<std::string>& finished, int ranks, DispatchRules rules)
    : plan_(plan), rules_(rules), items_(plan.tasks.size()), ranks_(ranks), alive_(ranks) {
  for (int rank = 0; rank < ranks; ++rank) free_.insert(free_.end(), rank);
  const auto critical = critical_seconds(plan, ranks);
  for (size_t i = 0; i < items_.size(); ++i) items_[i].critical = critical[i];
  add_tasks(finished);
}

void Dispatcher::add_tasks(const std::vector<std::string>& finished) {
  const std::unordered_set<std::string> known(finished.begin(), finished.end());
  std::unordered_map<std::string, int> place;
  std::map<std::string, int> bundle_of;
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
    item.bundle = task.residency.empty() ? 0 : bundle_of.emplace(task.residency, next).first->second;
    if (item.bundle == next) {
      bundles_.emplace_back().resident = true;
      bundles_.back().load = task.load_seconds;
    }
    ++bundles_[item.bundle].open, ++total_, remaining_ += task.seconds;
    for (const std::string& input : task.inputs) {
      const int needed = place.at(input);
      if (items_[needed].state == State::done) continue;
      items_[needed].dependents.push_back(i), ++item.missing;
    }
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
  items_[task].state = state;
  --bundles_[items_[task].bundle].open;
  remaining_ -= plan_.tasks[task].seconds;
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

std::vector<Assignment> Dispatcher::assign(double now, double seconds_left) {
  std::vector<Assignment> made;
  if (stop_) {
    for (const int rank : gather_.ranks) set_state(rank, Rank::State::free);
    gather_ = {};
    return made;
  }
  continue_gathering(now, made);
  while (!free_.empty() && retry_one(now, seconds_left, made)) {
  }
  while (!free_.empty()) {
    const int bundle = choose_bundle();
    if (bundle == nothing) break;
    place(bundles_[bundle].ready.begin()->second, now, seconds_left, made);
  }
  return made;
}

bool Dispatcher::retry_one(double now, double seconds_left, std::vector<Assignment>& made) {
  for (auto retry = retries_.begin(); retry != retries_.end(); ++retry) {
    const int task = *retry;
    if (choose_rank(items_[task].bundle, items_[task].avoid) == nothing) continue;
    retries_.erase(retry);
    place(task, now, seconds_left, made);
    return true;
  }
  return false;
}

// Rules 2 to 5 as (rule, weight); the largest pair wins, the first bundle among equals.
int Dispatcher::choose_bundle() const {
  enum { share, longest_unheld, resident, decides_the_end };
  std::pair<int, double> best(-1, 0);
  int chosen = nothing;
  for (const int id : active_) {
    const Bundle& bundle = bundles_[id];
    const auto [minus_critical, task] = *bundle.ready.begin();
    const double critical = -minus_critical, own = plan_.tasks[task].seconds;
    std::pair<int, double> rank;
    if (bundle.free_holders > 0) {
      rank = {resident, critical};
    } else if (bundle.holders == 0) {
      rank = {longest_unheld, bundle.resident ? bundle.ready_seconds + std::max(critical - own, 0.0) : critical};
    } else {
      if (bundle.ready_seconds <= bundle.load * bundle.holders) continue;
      rank = {share, bundle.ready_seconds / bundle.holders};
    }
    if (bundle.holders == 0 && critical > (spread_work() + bundle.load) * (1 + 1e-9))
      rank = {decides_the_end, critical};
    if (rank > best) best = rank, chosen = id;
  }
  return chosen;
}

// A free rank that holds the bundle; else the one whose own bundle is least likely to be needed again.
int Dispatcher::choose_rank(int bundle, int avoid) const {
  const auto worth_keeping = [&](int rank) {
    const int held = ranks_[rank].holds;
    if (held == nothing) return 0;
    if (held == bundle) return -1;
    return bundles_[held].open == 0 ? 1 : bundles_[held].ready.empty() ? 2 : 3;
  };
  int chosen = nothing, least = 4;
  for (const int rank : free_) {
    if (rank == avoid && alive_ > 1) continue;
    const int worth = worth_keeping(rank);
    if (worth < least) least = worth, chosen = rank;
    if (worth == -1 || (worth == 0 && bundles_[bundle].free_holders == 0)) break;
  }
  return chosen;
}

// As many as bring the task's critical path below all work spread over the ranks, and the task itself below the work
// that is ready or runs (otherwise ranks would idle until it ends).
size_t Dispatcher::wanted_ranks(int task) const {
  const Task& work = plan_.tasks[task];
  const int most = std::min(work.shares, alive_);
  const double after = items_[task].critical - seconds_on(work, std::min<int>(work.shares, ranks_.size()));
  const double spread_now = (ready_seconds_ + running_seconds_ + work.seconds) / alive_;
  const double allowed = std::min(spread_now, spread_work() - after) * (1 + 1e-9);
  int wanted = 1;
  while (wanted < most && seconds_on(work, wanted) > allowed) ++wanted;
  const int rounds = (work.shares + wanted - 1) / wanted;
  return (work.shares + rounds - 1) / rounds;  // no more than these rounds need
}

// Gives a ready task to the best free ranks, or lets them wait for more, or gives it up when too little time is left.
void Dispatcher::place(int task, double now, double seconds_left, std::vector<Assignment>& made) {
  const Task& work = plan_.tasks[task];
  take_from_queue(task);
  Gather group{task, work.shares > 1 ? wanted_ranks(task) : 1, now + rules_.patience * work.seconds, {}};
  if (!work.resumable && seconds_on(work, static_cast<int>(group.wanted)) * slowness() > seconds_left) {
    left_by_stop_ = true;
    close(task, State::not_run);
    return drop_dependents(task);
  }
  while (group.ranks.size() < group.wanted) {
    const int rank = choose_rank(items_[task].bundle, items_[task].avoid);
    if (rank == nothing) break;
    set_state(rank, Rank::State::gathered);
    group.ranks.push_back(rank);
  }
  if (group.ranks.size() < group.wanted && !running_.empty() && gather_.task == nothing && rules_.patience > 0)
    gather_ = std::move(group);
  else
    start(task, std::move(group.ranks), now, made);
}

void Dispatcher::continue_gathering(double now, std::vector<Assignment>& made) {
  if (gather_.task == nothing) return;
  const Item& item = items_[gather_.task];
  while (gather_.ranks.size() < gather_.wanted) {
    const int rank = choose_rank(item.bundle, item.avoid);
    if (rank == nothing) break;
    set_state(rank, Rank::State::gathered);
    gather_.ranks.push_back(rank);
  }
  if (gather_.ranks.size() < gather_.wanted && now < gather_.until && !running_.empty()) return;
  const Gather group = std::exchange(gather_, {});
  start(group.task, group.ranks, now, made);
}

void Dispatcher::start(int task, std::vector<int> ranks, double now, std::vector<Assignment>& made) {
  Item& item = items_[task];
  item.state = State::running, ++item.attempts;
  running_seconds_ += plan_.tasks[task].seconds;
  std::ranges::sort(ranks);  // neighbours in the job are neighbours in the group
  Assignment assignment{++last_id_, task, std::move(ranks), 0, 0};
  const Bundle& bundle = bundles_[item.bundle];
  for (const int rank : assignment.ranks) {
    if (bundle.resident && ranks_[rank].holds != item.bundle) ++assignment.loads, hold(rank, item.bundle);
    set_state(rank, Rank::State::busy);
    ranks_[rank].assignment = assignment.id;
  }
  assignment.seconds = seconds_on(plan_.tasks[task], static_cast<int>(assignment.ranks.size())) +
                       (assignment.loads > 0 ? bundle.load : 0);
  running_.emplace(assignment.id, assignment);
  endings_[assignment.id] = {now, {assignment.ranks.begin(), assignment.ranks.end()}, Result::done, "", 0, {}};
  made.push_back(std::move(assignment));
}

void Dispatcher::set_state(int rank, Rank::State state) {
  Rank& one = ranks_[rank];
  if (one.state == Rank::State::free) {
    free_.erase(rank);
    if (one.holds != nothing) --bundles_[one.holds].free_holders;
  }
  one.state = state;
  if (state == Rank::State::free) {
    free_.insert(rank);
    if (one.holds != nothing) ++bundles_[one.holds].free_holders;
  }
}

// Of a rank that is not free.
void Dispatcher::hold(int rank, int bundle) {
  if (ranks_[rank].holds != nothing) --bundles_[ranks_[rank].holds].holders;
  ranks_[rank].holds = bundle;
  if (bundle != nothing) ++bundles_[bundle].holders;
}

std::vector<int> Dispatcher::report(double now, int id, int rank, Result result, const std::string& message,
                                    ExitCode code) {
  const auto found = endings_.find(id);
  expect(found != endings_.end() && found->second.waiting.erase(rank) == 1, "a rank reports its own assignment once");
  Ending& ending = found->second;
  set_state(rank, Rank::State::free);
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
  if (one.state == Rank::State::busy)
    give_up = report(now, one.assignment, rank, Result::failed, "rank " + std::to_string(rank) + " was lost");
  if (std::erase(gather_.ranks, rank) > 0 && gather_.ranks.empty()) make_ready(std::exchange(gather_, {}).task);
  set_state(rank, Rank::State::lost);
  hold(rank, nothing);
  --alive_;
  gather_.wanted = std::min<size_t>(gather_.wanted, std::max(alive_, 1));
  return give_up;
}

void Dispatcher::end(double now, int id, const Ending& ending) {
  const Assignment assignment = std::move(running_.extract(id).mapped());
  const int task = assignment.task;
  running_seconds_ -= plan_.tasks[task].seconds;
  if (ending.result == Result::failed) return retry_or_fail(task, ending);
  if (ending.result == Result::stopped) {
    stop_ = left_by_stop_ = true;
    return close(task, State::not_run);
  }
  measured_ += now - ending.started, estimated_ += assignment.seconds;
  close(task, State::done);
  ++done_;
  for (const int next : items_[task].dependents)
    if (--items_[next].missing == 0 && items_[next].state == State::blocked) make_ready(next);
}

void Dispatcher::retry_or_fail(int task, const Ending& ending) {
  Item& item = items_[task];
  if (item.attempts < rules_.attempts) {
    item.state = State::ready, item.avoid = ending.rank;
    retries_.push_back(task);
    return;
  }
  failures_.push_back({plan_.tasks[task].key, plan_.tasks[task].name, ending.message, ending.rank, ending.code});
  close(task, State::failed);
  drop_dependents(task);
}

bool Dispatcher::complete() const {
  if (!running_.empty()) return false;
  return stop_ || alive_ == 0 || (active_.empty() && retries_.empty() && gather_.task == nothing);
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

}  // namespace cmc::dist
