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
    if (!can_place(task)) continue;
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
    const double critical = -minus_critical, own = seconds_on(plan_.tasks[task], 1);
    if (bundle.gang > 1 && bundle.free_holders == 0 && !can_form_gang(id)) continue;
    const double ready = bundle.ready_seconds / bundle.gang;
    std::pair<int, double> rank;
    if (bundle.free_holders > 0) {
      rank = {resident, critical};
    } else if (bundle.holders == 0) {
      rank = {longest_unheld, bundle.resident ? ready + std::max(critical - own, 0.0) : critical};
    } else {
      if (ready <= bundle.load * bundle.holders) continue;
      rank = {share, ready / bundle.holders};
    }
    if (bundle.holders == 0 && critical > (spread_work() + bundle.load) * (1 + 1e-9))
      rank = {decides_the_end, critical};
    if (rank > best) best = rank, chosen = id;
  }
  return chosen;
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

// A free rank that holds the bundle; else the one whose own bundle is least likely to be needed again. `node`: for a new
// gang, one of that node.
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
  const int rounds = (work.shares + wanted - 1) / wanted;
  return (work.shares + rounds - 1) / rounds;  // no more than these rounds need
}

// Gives a ready task to the best free ranks, or lets them wait for more, or gives it up when too little time is left.
void Dispatcher::place(int task, double now, double seconds_left, std::vector<Assignment>& made) {
  const Task& work = plan_.tasks[task];
  take_from_queue(task);
  Gather group = work.gang > 1 ? seats(task, now)
                               : Gather{.task = task,
                                        .wanted = work.shares > 1 ? wanted_ranks(task) : 1,
                                        .until = now + rules_.patience * work.seconds,
                                        .avoid = items_[task].avoid};
  if (!work.resumable && seconds_on(work, static_cast<int>(group.wanted)) * slowness() > seconds_left) {
    left_by_stop_ = true;
    close(task, State::not_run);
    return drop_dependents(task);
  }
  gather(group);
  const bool waits = work.gang > 1 || (!running_.empty() && gather_.task == nothing && rules_.patience > 0);
  if (group.ranks.size() < group.wanted && waits)
    gather_ = std::move(group);
  else
    start(task, std::move(group.ranks), now, made);
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
  if (items_[group.task].attempts > 0)
    retries_.push_back(group.task);
  else
    make_ready(group.task);
}

void Dispatcher::continue_gathering(double now, std::vector<Assignment>& made) {
  if (gather_.task == nothing) return;
  gather(gather_);
  if (gather_.ranks.size() < gather_.wanted && now < gather_.until && (gather_.node != nothing || !running_.empty())) return;
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
