#include "pipeline/distributed/scheduler.hpp"

#include <chrono>
#include <optional>

#include "pipeline/core/hash.hpp"
#include "pipeline/distributed/coordinator.hpp"
#include "pipeline/distributed/mailbox.hpp"
#include "pipeline/distributed/worker_thread.hpp"

namespace cmc::distributed {
namespace {

Outcome outcome_from(const Json& letter) {
  Outcome outcome{letter.at("done"), {}, letter.at("not_run"), letter.at("stopped"), letter.at("lost")};
  for (const Json& one : letter.at("failed"))
    outcome.failed.push_back({one[0], one[1], one[2], one[3], static_cast<ExitCode>(one[4].get<int>())});
  return outcome;
}

// Every other rank's part of run_plan: does what rank 0 says, and tells it what came of it.
class Follower {
 public:
  Follower(const Communicator& world, WorkerThread& worker, const SchedulerSettings& settings)
      : worker_(worker), settings_(settings), mailbox_(world) {}

  Outcome run() {
    while (!outcome_) {
      while (const auto letter = mailbox_.receive()) obey(letter->content);
      if (const auto report = worker_.wait(settings_.poll_seconds))
        mailbox_.send(0, {{"kind", "report"},
                          {"id", report->id},
                          {"result", results.name_of(report->result)},
                          {"message", report->message},
                          {"code", static_cast<int>(report->code)}});
      show_life();
    }
    mailbox_.send(0, {{"kind", "bye"}});
    mailbox_.flush();
    return *outcome_;
  }

 private:
  using Clock = std::chrono::steady_clock;

  void obey(const Json& letter) {
    const std::string kind = letter.at("kind");
    if (kind == "run")
      worker_.start(
          {letter.at("id"), letter.at("task"), letter.at("ranks"), letter.at("tensor_group"), letter.at("taken_over")});
    if (kind == "abandon") worker_.abandon(letter.at("id"));
    if (kind == "finish") outcome_ = outcome_from(letter);
  }

  void show_life() {
    if (!stop_told_ && settings_.stop && settings_.stop()) {
      mailbox_.send(0, {{"kind", "stop"}});
      stop_told_ = true;
    }
    if (Clock::now() < next_beat_) return;
    mailbox_.send(0, {{"kind", "alive"}});
    next_beat_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                    std::chrono::duration<double>(heartbeat_seconds(settings_)));
  }

  WorkerThread& worker_;
  const SchedulerSettings& settings_;
  Mailbox mailbox_;
  std::optional<Outcome> outcome_;
  Clock::time_point next_beat_ = Clock::now();
  bool stop_told_ = false;
};

void require_same_plan(const Plan& plan, const Communicator& world) {
  std::string keys;
  for (const Task& task : plan.tasks) keys += task.key + "\n";
  const auto all = world.all_gather(sha256(keys));
  for (size_t rank = 1; rank < all.size(); ++rank)
    if (all[rank] != all[0])
      throw Internal({"plan", "rank " + std::to_string(rank) + " has other tasks than rank 0",
                      "give every rank the same program, experiment file and data"});
}

}  // namespace

Outcome run_plan(const Plan& plan, const std::vector<std::string>& finished, const Communicator& world,
                 const RunTask& run, const SchedulerSettings& settings) {
  check(plan);
  check_groups(plan, finished, settings.nodes.empty() ? Nodes(world.size()) : settings.nodes);
  require_same_plan(plan, world);
  WorkerThread worker(plan, world, run);
  if (world.rank() == 0) return Coordinator(plan, finished, world, worker, settings).run();
  return Follower(world, worker, settings).run();
}

}  // namespace cmc::distributed
