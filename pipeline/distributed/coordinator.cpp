#include "pipeline/distributed/coordinator.hpp"

#include <algorithm>
#include <cmath>

#include "pipeline/core/log.hpp"
#include "pipeline/distributed/pause.hpp"
#include "pipeline/distributed/simulation.hpp"

namespace cmc::distributed {
namespace {

Json to_json(const Outcome& outcome) {
  Json failed = Json::array();
  for (const Failure& one : outcome.failed)
    failed.push_back({one.key, one.name, one.message, one.rank, static_cast<int>(one.code)});
  return {{"kind", "finish"},           {"done", outcome.done},       {"failed", failed},
          {"not_run", outcome.not_run}, {"stopped", outcome.stopped}, {"lost", outcome.lost}};
}

DispatchRules rules_of(const Plan& plan, const std::vector<std::string>& finished, int ranks,
                       const SchedulerSettings& settings) {
  DispatchRules rules{.attempts = settings.attempts, .nodes = settings.nodes};
  rules.approach = find_approach(plan, finished, ranks, rules);
  return rules;
}

}  // namespace

double heartbeat_seconds(const SchedulerSettings& settings) {
  return std::clamp(settings.stall_seconds / 4, 0.05, 5.0);
}

Coordinator::Coordinator(const Plan& plan, const std::vector<std::string>& finished, const Communicator& world,
                         WorkerThread& worker, const SchedulerSettings& settings)
    : plan_(plan),
      worker_(worker),
      settings_(settings),
      dispatcher_(plan, finished, world.size(), rules_of(plan, finished, world.size(), settings)),
      mailbox_(world),
      size_(world.size()),
      heard_(world.size(), 0) {}

Outcome Coordinator::run() {
  for (;;) {
    leave_out_pauses();
    read_mail();
    check_stop();
    give_work();
    if (dispatcher_.complete()) break;
    name_stalled();
    lose_silent_ranks();
    tell_progress();
    if (const auto report = worker_.wait(settings_.poll_seconds)) take_report(0, *report);
  }
  tell_progress();
  Outcome outcome = dispatcher_.outcome();
  finish(outcome);
  return outcome;
}

// A job that was stopped whole, as on a machine that slept, heard nobody meanwhile: that time tells nothing of ranks.
// What waits is measured up to `awake_`, since the job may be stopped anywhere in a round.
void Coordinator::leave_out_pauses() {
  const double time = now();
  const double pause = time - awake_;
  if (pause > std::max(5.0, settings_.stall_seconds / 4))
    begin_ += std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(pause));
  else
    awake_ = time;
}

void Coordinator::read_mail() {
  while (const auto letter = mailbox_.receive()) {
    const Json& content = letter->content;
    const std::string kind = content.at("kind");
    heard_[letter->from] = now();
    if (lost_.contains(letter->from))
      hear_again(letter->from, content);
    else if (kind == "report")
      take_report(letter->from, {content.at("id"), results.named<Internal>(content.at("result").get<std::string>()),
                                 content.at("message"), static_cast<ExitCode>(content.at("code").get<int>())});
    if (kind == "stop") stopping_ = true;
    if (kind == "bye") gone_.insert(letter->from);
  }
}

void Coordinator::take_report(int rank, const WorkerThread::Report& report) {
  const Task& task = plan_.tasks[dispatcher_.running().at(report.id).assignment.task];
  const auto others = dispatcher_.report(now(), report.id, rank, {report.result, report.message, report.code});
  Running& running = running_.at(report.id);
  if (report.result == Result::failed && !running.failed)
    log_warning(task.name, " failed on rank ", rank, ": ", report.message);
  running.failed = running.failed || report.result != Result::done;  // the rest of the group only follows
  give_up(others, report.id);
  if (!others.empty()) running.given_up = now();
  if (!dispatcher_.running().contains(report.id)) running_.erase(report.id);
  changed_ = true;
}

void Coordinator::give_up(const std::vector<int>& ranks, int assignment) {
  for (const int rank : ranks) {
    if (rank == 0)
      worker_.abandon(assignment);
    else
      mailbox_.send(rank, {{"kind", "abandon"}, {"id", assignment}});
  }
}

void Coordinator::give_work() {
  const double left = settings_.seconds_left ? settings_.seconds_left() : never;
  for (const Assignment& one : dispatcher_.assign(now(), left)) {
    running_[one.id].since = now();
    changed_ = true;
    for (const int rank : one.ranks) {
      if (rank == 0)
        worker_.start({one.id, one.task, one.ranks, one.tensor_group, one.taken_over});
      else
        mailbox_.send(rank, {{"kind", "run"},
                             {"id", one.id},
                             {"task", one.task},
                             {"ranks", one.ranks},
                             {"tensor_group", one.tensor_group},
                             {"taken_over", one.taken_over}});
    }
  }
}

void Coordinator::check_stop() {
  stopping_ = stopping_ || (settings_.stop && settings_.stop());
  if (stopping_) dispatcher_.stop();
}

// A rank that is silent has a stuck main thread, node or network; a task far over its estimate is stuck itself.
void Coordinator::name_stalled() {
  std::map<std::string, double> found;
  for (int rank = 1; rank < size_; ++rank)
    if (awake_ - heard_[rank] > settings_.stall_seconds)
      found["rank " + std::to_string(rank) + " is silent"] = heard_[rank];
  for (const auto& [id, running] : dispatcher_.running().all()) {
    const Assignment& one = running.assignment;
    const double since = running_.at(id).since;
    const double limit = 10 * one.seconds * dispatcher_.speeds().slowness(plan_.tasks[one.task].stage);
    if (awake_ - since < std::max(settings_.stall_seconds, limit)) continue;
    found["rank " + std::to_string(one.ranks.front()) + " is slow with " + plan_.tasks[one.task].name] = since;
  }
  for (const auto& [what, since] : found)
    if (!stalled_.contains(what)) {
      log_warning(what, " (for ", std::lround(awake_ - since), " s)");
      changed_ = true;
    }
  stalled_ = std::move(found);
}

// Silent ranks, and those that do not give up what another rank of their group has: they may hang in MPI with it.
void Coordinator::lose_silent_ranks() {
  std::set<int> silent;
  for (int rank = 1; rank < size_; ++rank)
    if (awake_ - heard_[rank] > settings_.stall_seconds && !gone_.contains(rank)) silent.insert(rank);
  for (const auto& [id, running] : running_)
    if (running.given_up > 0 && awake_ - running.given_up > settings_.stall_seconds)
      for (const int rank : dispatcher_.running().at(id).waiting)
        if (rank > 0) silent.insert(rank);
  for (const int rank : silent)
    if (!lost_.contains(rank)) lose(rank);
}

void Coordinator::lose(int rank) {
  const int id = dispatcher_.assignment_of(rank);
  Assignment owed;
  if (id > 0) owed = dispatcher_.running().at(id).assignment;
  log_warning("rank ", rank, " does not answer", id > 0 ? ": " + plan_.tasks[owed.task].name + " goes to another" : "");
  auto others = dispatcher_.lost(now(), rank);
  if (!others.empty()) running_.at(id).given_up = now();
  if (owed.ranks.size() > 1) others.push_back(rank);  // when it reads that
  give_up(others, id);
  if (id > 0 && !dispatcher_.running().contains(id)) running_.erase(id);
  lost_.emplace(rank, std::move(owed));
  changed_ = true;
}

// A lost rank works again once it has reported what it still had.
void Coordinator::hear_again(int rank, const Json& content) {
  const Assignment& owed = lost_.at(rank);
  if (owed.id > 0) {
    if (content.at("kind") != "report" || content.at("id") != owed.id) return;
    if (owed.ranks.size() == 1 && content.at("result") == "done") dispatcher_.done_late(owed.task);
  }
  log_info("rank ", rank, " is back");
  dispatcher_.found(rank);
  lost_.erase(rank);
  changed_ = true;
}

Progress Coordinator::progress() const {
  Progress progress;
  const TaskGraph& graph = dispatcher_.graph();
  progress.done = graph.done(), progress.failed = dispatcher_.failed(), progress.total = graph.total();
  progress.running = static_cast<int>(dispatcher_.running().all().size());
  progress.work_done = graph.total_seconds() - graph.remaining_seconds(), progress.work_total = graph.total_seconds();
  progress.current.resize(size_);
  double left = dispatcher_.work_left();
  for (const auto& [id, running] : dispatcher_.running().all()) {
    const Assignment& one = running.assignment;
    const Task& task = plan_.tasks[one.task];
    const double spent = (now() - running_.at(id).since) * static_cast<double>(one.ranks.size());
    left -= std::min(spent, rank_seconds(task) * dispatcher_.speeds().slowness(task.stage));
    for (const int rank : one.ranks) progress.current[rank] = task.name;
  }
  progress.seconds_left = std::max(left, 0.0) / size_;
  for (const auto& [what, since] : stalled_)
    progress.stalled.push_back(what + " (for " + std::to_string(static_cast<int>(now() - since)) + " s)");
  return progress;
}

void Coordinator::tell_progress() {
  if (!settings_.progress || (!changed_ && now() - told_ < 1)) return;
  changed_ = false, told_ = now();
  settings_.progress(progress());
}

// Ranks that do not say good-bye are not waited for: the caller ends the job without them.
void Coordinator::finish(Outcome& outcome) {
  const auto all_answered = [&] {
    for (int rank = 1; rank < size_; ++rank)
      if (!gone_.contains(rank) && !lost_.contains(rank)) return false;
    return true;
  };
  const auto tell_lost = [&] {
    outcome.lost.clear();
    for (const auto& [rank, owed] : lost_) outcome.lost.push_back(rank);
  };
  tell_lost();
  for (int rank = 1; rank < size_; ++rank) mailbox_.send(rank, to_json(outcome));
  for (Pause pause; !all_answered(); pause()) {
    leave_out_pauses();
    read_mail();
    lose_silent_ranks();
  }
  tell_lost();
  if (lost_.empty()) mailbox_.flush();
}

}  // namespace cmc::distributed
