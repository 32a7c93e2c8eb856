// How the dispatcher chooses: which bundle is next, and which ranks take its task.
#include <algorithm>

#include "pipeline/dist/dispatcher.hpp"

namespace cmc::dist {

std::vector<Assignment> Dispatcher::assign(double now, double seconds_left) {
  std::vector<Assignment> made;
  if (stop_) {
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
  return made;
}

bool Dispatcher::retry_one(double now, double seconds_left, std::vector<Assignment>& made) {
  for (auto retry = retries_.begin(); retry != retries_.end(); ++retry) {
    const int task = *retry;
    if (!can_place(task)) continue;
    retries_.erase(retry);
    place(task, now, seconds_left, made);
    return true;
  }
  return false;
}

// The bundle that rules 2 to 5 say is next; the first among equals.
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
  const double critical = -minus_critical, ready = bundle.ready_seconds / bundle.gang;
  if (bundle.free_holders > 0) return {Rule::resident, critical};
  if (bundle.holders > 0 && ready <= bundle.load * bundle.holders) return {};
  if (bundle.gang > 1 && !node_has_free(bundle.gang)) {
    if (gather_.task != nothing || !can_form_gang(id)) return {};
    if (waits_too_long(gang_complete_at(id, now) - now, bundle.gang, bundle.ready_seconds)) return {Rule::wait, ready};
  }
  if (bundle.holders > 0) return {Rule::share, ready / bundle.holders};
  if (critical > (spread_work() + bundle.load) * (1 + 1e-9)) return {Rule::decides_the_end, critical};
  const double own = seconds_on(plan_.tasks[task], 1);
  return {Rule::longest_unheld, bundle.resident ? ready + std::max(critical - own, 0.0) : critical};
}

int Dispatcher::held_by(int rank) const {
  const Rank& one = ranks_[rank];
  return one.gang > 0 ? gangs_.at(one.gang).bundle : one.holds;
}

// How likely it is that what a rank holds is needed again by another bundle, from 0; -1 when it is this one.
int Dispatcher::worth_keeping(int rank, int bundle) const {
  const int held = held_by(rank);
  if (held == nothing) return 0;
  if (held == bundle) return -1;
  return bundles_[held].open == 0 ? 1 : bundles_[held].ready.empty() ? 2 : 3;
}

// A free rank that holds the bundle; else the one whose own bundle is least likely to be needed again. `node`: for a
// new gang, one of that node.
int Dispatcher::choose_rank(int bundle, int avoid, int node) const {
  int chosen = nothing, least = 4;
  for (const int rank : free_) {
    if (rank == avoid && (alive_ > 1 || node != nothing)) continue;
    if (node != nothing && (ranks_[rank].node != node || held_by(rank) == bundle)) continue;
    const int worth = worth_keeping(rank, bundle);
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
  Gather group = work.gang > 1 ? seats(task, now)
                               : Gather{.task = task,
                                        .wanted = work.shares > 1 ? wanted_ranks(task) : 1,
                                        .until = never,
                                        .avoid = items_[task].avoid};
  if (!work.resumable && seconds_on(work, static_cast<int>(group.wanted)) * slowness(work.stage) > seconds_left) {
    left_by_stop_ = true;
    close(task, State::not_run);
    return drop_dependents(task);
  }
  gather(group);
  if (group.ranks.size() == group.wanted) return start(task, std::move(group.ranks), now, made);
  if (work.gang == 1) {
    if (!worth_waiting(group, now)) return start_with(std::move(group), now, made);
    group.until = now + longest_wait(group);
  }
  gather_ = std::move(group);
}

// Seconds that the ranks at hand may idle: together a small part of the task's work.
double Dispatcher::longest_wait(const Gather& group) const {
  return rules_.patience * plan_.tasks[group.task].seconds / static_cast<double>(group.ranks.size());
}

// Whether the ranks that a shared task lacks are expected soon.
bool Dispatcher::worth_waiting(const Gather& group, double now) const {
  std::vector<double> ends;
  for (int rank = 0; rank < static_cast<int>(ranks_.size()); ++rank)
    if (ranks_[rank].state == Rank::State::busy) ends.push_back(free_at(rank, now));
  const size_t missing = group.wanted - group.ranks.size();
  if (gather_.task != nothing || ends.size() < missing) return false;
  std::ranges::nth_element(ends, ends.begin() + static_cast<std::ptrdiff_t>(missing - 1));
  return ends[missing - 1] - now <= longest_wait(group);
}

// With the ranks at hand, but for those that would not make it shorter.
void Dispatcher::start_with(Gather group, double now, std::vector<Assignment>& made) {
  const Task& work = plan_.tasks[group.task];
  const size_t useful = work.gang > 1 ? group.wanted : useful_ranks(work, static_cast<int>(group.ranks.size()));
  for (; group.ranks.size() > useful; group.ranks.pop_back()) set_state(group.ranks.back(), Rank::State::free);
  start(group.task, std::move(group.ranks), now, made);
}

void Dispatcher::gather(Gather& group) {
  while (group.ranks.size() < group.wanted) {
    const int rank = choose_rank(items_[group.task].bundle, group.avoid, group.node);
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
  running_seconds_ += plan_.tasks[task].seconds;
  std::ranges::sort(ranks);  // neighbours in the job are neighbours in the group
  Assignment assignment{.id = ++last_id_, .task = task, .ranks = std::move(ranks), .taken_over = item.taken_over};
  const Bundle& bundle = bundles_[item.bundle];
  if (bundle.gang > 1) {
    const int gangs_before = last_gang_;
    assignment.gang = join_gang(item.bundle, assignment.ranks);
    if (bundle.resident) assignment.loads = last_gang_ - gangs_before;
  }
  for (const int rank : assignment.ranks) {
    if (bundle.gang == 1 && bundle.resident && ranks_[rank].holds != item.bundle)
      ++assignment.loads, hold(rank, item.bundle);
    set_state(rank, Rank::State::busy);
    ranks_[rank].assignment = assignment.id;
  }
  assignment.seconds = seconds_on(plan_.tasks[task], static_cast<int>(assignment.ranks.size())) +
                       (assignment.loads > 0 ? bundle.load : 0);
  running_.emplace(assignment.id, assignment);
  endings_[assignment.id] = {now, {assignment.ranks.begin(), assignment.ranks.end()}, Result::done, "", 0, {}};
  made.push_back(std::move(assignment));
}

}  // namespace cmc::dist
