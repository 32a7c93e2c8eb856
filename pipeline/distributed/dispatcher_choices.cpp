// How the dispatcher chooses: which bundle is next, and which ranks take its task.
#include <algorithm>

#include "pipeline/distributed/dispatcher.hpp"

namespace cmc::distributed {

std::vector<Assignment> Dispatcher::assign(double now, double seconds_left) {
  std::vector<Assignment> made;
  if (stop_ || disk_failed_) {
    if (gather_.task != nothing) cancel_gathering();
    return made;
  }
  reconsider_gang(now);
  continue_gathering(now, made);
  while (!free_.empty() && retry_one(now, seconds_left, made)) {
  }
  while (!free_.empty()) {
    const int bundle = choose_bundle(now);
    if (bundle == nothing) break;
    place(bundles_[bundle].ready.begin()->second, now, seconds_left, made);
  }
  for (const int task : std::exchange(postponed_, {})) make_ready(task);
  return made;
}

bool Dispatcher::retry_one(double now, double seconds_left, std::vector<Assignment>& made) {
  for (auto retry = retries_.begin(); retry != retries_.end(); ++retry) {
    const int task = *retry;
    if (!can_place(task, now)) continue;
    retries_.erase(retry);
    place(task, now, seconds_left, made);
    return true;
  }
  return false;
}

// The bundle that rules 2 to 6 say is next; the first among equals.
int Dispatcher::choose_bundle(double now) {
  Claim best;
  int chosen = nothing;
  for (const int id : active_) {
    const Claim claim = claim_of(id, now);
    if (best < claim) best = claim, chosen = id;
  }
  return chosen;
}

Dispatcher::Claim Dispatcher::claim_of(int id, double now) {
  const Bundle& bundle = bundles_[id];
  const auto [minus_critical, task] = *bundle.ready.begin();
  const double critical = -minus_critical, ready = bundle.ready_seconds / bundle.tensor_parallel;
  if (bundle.free_holders > 0) return {Rule::resident, critical};
  const bool unready = bundle.resident && bundle.foreign > 0;
  if (unready && !running_.empty() && !is_worth_loading(bundle, bundle.ready_seconds)) return {};
  if (bundle.holders > 0 && ready <= bundle.load * bundle.holders) return {};
  if (!finds_ranks(id, &Count::free)) {
    if (bundle.tensor_parallel == 1 || gather_.task != nothing || !finds_ranks(id, &Count::alive)) return {};
    const double complete_at = gang_complete_at(id, now);
    if (complete_at == never) return {};
    if (waits_too_long(complete_at - now, bundle.tensor_parallel, bundle.ready_seconds)) return {Rule::wait, ready};
  }
  if (bundle.holders > 0) return {Rule::share, ready / bundle.holders};
  if (critical > (spread_work() + bundle.load) * (1 + 1e-9)) return {Rule::decides_the_end, critical};
  const double own = seconds_on(plan_.tasks[task], 1);
  return {unready ? Rule::unready : Rule::longest_unheld,
          bundle.resident ? ready + std::max(critical - own, 0.0) : critical};
}

// A free rank that holds the bundle; else the one whose own bundle is least likely to be needed again. `node`: for a
// new gang, one of that node.
int Dispatcher::choose_rank(int task, int avoid, int node) const {
  const int bundle = items_[task].bundle;
  int chosen = nothing, least = 8;
  for (const int rank : free_) {
    if (rank == avoid && (alive_ > 1 || node != nothing)) continue;
    if (node == nothing && is_barred(rank, task)) continue;  // a gang's node was chosen with that in mind
    if (node != nothing && (ranks_[rank].node != node || held_by(rank) == bundle)) continue;
    const int worth = worth_keeping(rank, bundle) + (node != nothing && has_had(rank, bundle) ? 4 : 0);
    if (worth < least) least = worth, chosen = rank;
    if (worth == -1 || (worth == 0 && bundles_[bundle].free_holders == 0)) break;
  }
  return chosen;
}

// Estimated seconds on one rank that the tasks under way still need.
double Dispatcher::running_work_left(double now) const {
  double left = 0;
  for (const auto& [stage, speed] : speeds_)
    left += std::max(0.0, speed.started_work - (speed.started_ranks * now - speed.started_at) / slowness(stage));
  return left;
}

// What `task` may take without deciding the end: all work spread over the ranks, less what must come after it.
double Dispatcher::seconds_allowed(int task, double now) const {
  const Task& work = plan_.tasks[task];
  const double after = items_[task].critical - seconds_on(work, std::min<int>(work.shares, ranks_.size()));
  return (remaining_ - running_seconds_ + running_work_left(now)) / alive_ - after;
}

// As many as keep the task from deciding the end, and from outlasting the work that is ready or runs (ranks would idle
// until it ends).
size_t Dispatcher::wanted_ranks(int task, double now) const {
  const Task& work = plan_.tasks[task];
  const int most = std::min(work.shares, alive_);
  const double spread_now = (ready_seconds_ + running_work_left(now) + work.seconds) / alive_;
  const double allowed = std::min(spread_now, seconds_allowed(task, now)) * (1 + 1e-9);
  int wanted = 1;
  while (wanted < most && seconds_on(work, wanted) > allowed) ++wanted;
  return useful_ranks(work, wanted);
}

// Of `ranks`, as many as its rounds need.
size_t Dispatcher::useful_ranks(const Task& work, int ranks) {
  const int rounds = (work.shares + ranks - 1) / ranks;
  return (work.shares + rounds - 1) / rounds;
}

// Gives a ready task to the best free ranks, or lets them wait for more, or gives it up when too little time is left.
void Dispatcher::place(int task, double now, double seconds_left, std::vector<Assignment>& made) {
  const Task& work = plan_.tasks[task];
  take_from_queue(task);
  Gather group = work.tensor_parallel > 1 ? seats(task, now)
                               : Gather{.task = task,
                                        .wanted = work.shares > 1 ? wanted_ranks(task, now) : 1,
                                        .until = never,
                                        .avoid = items_[task].avoid};
  expect(work.tensor_parallel == 1 || group.node != nothing || !group.ranks.empty(), "a gang is placed where it has a node");
  if (!work.resumable && seconds_on(work, static_cast<int>(group.wanted)) * slowness(work.stage) > seconds_left) {
    left_by_stop_ = true;
    close(task, State::not_run);
    return drop_dependents(task);
  }
  const size_t at_hand = group.wanted > 1 ? ranks_at_hand(group) : 1;
  WithFew with_few = WithFew::wait;  // a gang needs all of them
  if (work.tensor_parallel == 1 && at_hand < group.wanted) with_few = decide_with_few(group, at_hand, now);
  if (with_few == WithFew::postpone) return postponed_.push_back(task);
  gather(group);
  if (group.ranks.size() == group.wanted) return start(task, std::move(group.ranks), now, made);
  if (with_few == WithFew::start) return start_with(std::move(group), now, made);
  if (work.tensor_parallel == 1) group.until = now + longest_wait(task, group.ranks.size());
  expect(gather_.task == nothing, "one group of ranks gathers at a time");
  gather_ = std::move(group);
}

// Free ranks that may take the group's task, those of its own included.
size_t Dispatcher::ranks_at_hand(const Gather& group) const {
  const auto may = [&](int rank) { return rank != group.avoid && !is_barred(rank, group.task); };
  return group.ranks.size() + static_cast<size_t>(std::ranges::count_if(free_, may));
}

// Seconds that `ranks` may idle for others: together a small part of the task's work.
double Dispatcher::longest_wait(int task, size_t ranks) const {
  return rules_.patience * plan_.tasks[task].seconds / static_cast<double>(ranks);
}

// When the busy ranks are free, the soonest first.
std::vector<double> Dispatcher::ends_of_busy(double now) const {
  std::vector<double> ends;
  for (int rank = 0; rank < static_cast<int>(ranks_.size()); ++rank)
    if (ranks_[rank].state == Rank::State::busy) ends.push_back(free_at(rank, now));
  std::ranges::sort(ends);
  return ends;
}

// What a shared task does that finds fewer ranks than it wants. It waits with those at hand where the others are
// expected soon. It is postponed, and those at hand do something else, where it would decide the end with them and
// gains more than it waits when it starts later with ranks that are busy now.
Dispatcher::WithFew Dispatcher::decide_with_few(const Gather& group, size_t at_hand, double now) const {
  const Task& work = plan_.tasks[group.task];
  const auto ends = ends_of_busy(now);
  const size_t missing = group.wanted - at_hand;
  const bool soon = ends.size() >= missing && ends[missing - 1] - now <= longest_wait(group.task, at_hand);
  if (soon && gather_.task == nothing) return WithFew::wait;
  const double at_once = seconds_on(work, static_cast<int>(at_hand));
  if (items_[group.task].avoid != nothing || at_once <= seconds_allowed(group.task, now)) return WithFew::start;
  for (size_t more = 1; more <= std::min(ends.size(), missing); ++more) {
    const double wait = ends[more - 1] - now;
    if (at_once - (wait + seconds_on(work, static_cast<int>(at_hand + more))) > wait) return WithFew::postpone;
  }
  return WithFew::start;
}

// With the ranks at hand, but for those that would not make it shorter.
void Dispatcher::start_with(Gather group, double now, std::vector<Assignment>& made) {
  const Task& work = plan_.tasks[group.task];
  const size_t useful = work.tensor_parallel > 1 ? group.wanted : useful_ranks(work, static_cast<int>(group.ranks.size()));
  for (; group.ranks.size() > useful; group.ranks.pop_back()) set_state(group.ranks.back(), Rank::State::free);
  start(group.task, std::move(group.ranks), now, made);
}

void Dispatcher::gather(Gather& group) {
  while (group.ranks.size() < group.wanted) {
    const int rank = choose_rank(group.task, group.avoid, group.node);
    if (rank == nothing) return;
    set_state(rank, Rank::State::gathered);
    group.ranks.push_back(rank);
  }
}

void Dispatcher::cancel_gathering() {
  const Gather group = std::exchange(gather_, {});
  for (const int rank : group.ranks) set_state(rank, Rank::State::free);
  if (items_[group.task].avoid != nothing)
    retries_.push_back(group.task);
  else
    make_ready(group.task);
}

void Dispatcher::continue_gathering(double now, std::vector<Assignment>& made) {
  if (gather_.task == nothing) return;
  gather(gather_);
  const bool may_wait = gather_.node != nothing || !running_.empty();
  if (gather_.ranks.size() < gather_.wanted && now < gather_.until && may_wait) return;
  start_with(std::exchange(gather_, {}), now, made);
}

void Dispatcher::start(int task, std::vector<int> ranks, double now, std::vector<Assignment>& made) {
  Item& item = items_[task];
  item.state = State::running, ++item.attempts;
  std::ranges::sort(ranks);  // neighbours in the job are neighbours in the group
  Assignment assignment{.id = ++last_id_, .task = task, .ranks = std::move(ranks), .taken_over = item.taken_over};
  const Bundle& bundle = bundles_[item.bundle];
  if (bundle.tensor_parallel > 1) {
    const int gangs_before = last_gang_;
    const bool had = std::ranges::any_of(assignment.ranks, [&](int rank) { return has_had(rank, item.bundle); });
    assignment.tensor_group = join_gang(item.bundle, assignment.ranks);
    if (bundle.resident) assignment.loads = last_gang_ - gangs_before, assignment.reloads = had ? assignment.loads : 0;
  }
  for (const int rank : assignment.ranks) {
    if (bundle.tensor_parallel == 1 && bundle.resident && ranks_[rank].holds != item.bundle) {
      ++assignment.loads, assignment.reloads += has_had(rank, item.bundle);
      hold(rank, item.bundle);
    }
    set_state(rank, Rank::State::busy);
    ranks_[rank].assignment = assignment.id;
  }
  assignment.seconds = seconds_on(plan_.tasks[task], static_cast<int>(assignment.ranks.size())) +
                       (assignment.loads > 0 ? bundle.load : 0);
  count_running(assignment, now, 1);
  running_.emplace(assignment.id, assignment);
  endings_[assignment.id] = {now, {assignment.ranks.begin(), assignment.ranks.end()}, Result::done, "", 0, {}};
  made.push_back(std::move(assignment));
}

}  // namespace cmc::distributed
