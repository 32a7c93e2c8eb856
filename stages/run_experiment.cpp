#include "stages/run_experiment.hpp"

#include <algorithm>
#include <chrono>
#include <set>

#include "pipeline/core/hash.hpp"
#include "pipeline/core/log.hpp"
#include "pipeline/core/process_memory.hpp"
#include "pipeline/core/provenance.hpp"
#include "pipeline/store/results.hpp"
#include "pipeline/store/unit_store.hpp"
#include "stages/plan_experiment.hpp"
#include "stages/progress_line.hpp"
#include "stages/stage.hpp"
#include "stages/workbench.hpp"

namespace cmc::stages {
namespace {

struct Work {
  dist::Plan plan;
  Places places;
  std::vector<std::string> finished;
};

// Shards share out residencies, so that a target is loaded by one shard; what others need too (inputs) is in all of them.
void keep_shard(dist::Plan& plan, const Shard& shard) {
  if (shard.count == 1) return;
  std::set<std::string> wanted;
  for (auto task = plan.tasks.rbegin(); task != plan.tasks.rend(); ++task) {
    const auto place = seed_of({task->residency.empty() ? task->key : task->residency}) % static_cast<uint64_t>(shard.count);
    if (place == static_cast<uint64_t>(shard.index)) wanted.insert(task->key);
    if (wanted.contains(task->key)) wanted.insert(task->inputs.begin(), task->inputs.end());
  }
  std::erase_if(plan.tasks, [&](const dist::Task& task) { return !wanted.contains(task.key); });
}

Json run_environment(const dist::Session& session) {
  Json environment = provenance();
  environment["ranks"] = session.world().size();
  environment["threads_per_rank"] = at::get_num_threads();
  environment["cuda_devices"] = torch::cuda::is_available() ? torch::cuda::device_count() : 0;
  return environment;
}

// Rank 0 reads the disk, the others get what it found: one plan, whatever happens meanwhile.
Work share_work(const RunRequest& request, const dist::Session& session) {
  std::string text;
  if (session.world().rank() == 0) {
    auto [plan, places] = plan_experiment(request.experiment, request.output.path(), request.only);
    request.output.claim(request.experiment, plan, run_environment(session));
    keep_shard(plan, request.shard);
    const store::UnitStore units(request.output.path());
    if (const int left = units.remove_abandoned(); left > 0) log_info("removed ", left, " half-written files of killed runs");
    Json work = {{"tasks", Json::array()}, {"finished", Json::array()}, {"places", places}};
    for (const auto& task : plan.tasks) {
      work["tasks"].push_back(to_json(task));
      if (units.has(task.key)) work["finished"].push_back(task.key);
    }
    text = work.dump();
  }
  int64_t size = static_cast<int64_t>(text.size());
  session.world().broadcast(std::as_writable_bytes(std::span(&size, 1)), 0);
  text.resize(static_cast<size_t>(size));
  session.world().broadcast(std::as_writable_bytes(std::span(text)), 0);
  const Json received = Json::parse(text);
  Work work;
  for (const auto& task : received.at("tasks")) work.plan.tasks.push_back(task_from(task, "plan"));
  work.places = received.at("places").get<Places>();
  work.finished = received.at("finished").get<std::vector<std::string>>();
  return work;
}

const Stage& stage_named(const std::string& name) {
  return *std::ranges::find_if(stages(), [&](const Stage& stage) { return stage.name == name; });
}

// On the scheduler's worker thread, whose number of threads is its own.
void run_task(const dist::Task& task, Workbench& bench, const dist::Communicator& group, const Json& environment) {
  torch::set_num_threads(environment.at("threads_per_rank").get<int>());
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  bench.enter(task.residency, task.gang > 1 ? group : dist::Communicator());
  restart_peak_memory();
  store::Unit unit = stage_named(task.stage).run(task, bench, group);
  unit.key = task.key;
  unit.stage = task.stage;
  unit.task = task.parameters;
  unit.task["name"] = task.name;
  unit.task["stage"] = task.stage;
  unit.task["inputs"] = task.inputs;
  unit.provenance = environment;
  unit.cost["wall_seconds"] = std::chrono::duration<double>(Clock::now() - start).count();
  unit.cost["estimated_seconds"] = task.seconds;
  unit.cost["ranks"] = group.size();
  unit.cost["peak_bytes"] = peak_memory_bytes();
  if (group.rank() == 0) bench.units().publish(unit);
  log_info("done ", task.name, " in ", clock_time(unit.cost["wall_seconds"].get<double>()));
}

void merge(const RunRequest& request, const dist::Plan& plan) {
  const store::UnitStore units(request.output.path());
  std::vector<std::string> keys;
  for (const auto& task : plan.tasks)
    if (units.has(task.key)) keys.push_back(task.key);
  if (keys.empty()) return;
  store::write_results(request.output.path(),
                       {request.experiment.text("experiment.title"), request.output.experiment(), request.output.environment()}, keys);
}

// A run is reported on rank 0's terminal and, for `status`, in the folder.
auto progress_reporter(const OutputFolder& output, ProgressLine& line) {
  using Clock = std::chrono::steady_clock;
  return [&output, &line, last = Clock::time_point{}](const dist::Progress& progress) mutable {
    line.show(progress);
    if (Clock::now() - last < std::chrono::seconds(2)) return;
    last = Clock::now();
    output.write_progress(progress);
  };
}

}  // namespace

RunReport run_experiment(const RunRequest& request, const dist::Session& session, const dist::StopRequest& stop) {
  const auto& world = session.world();
  torch::set_num_threads(dist::threads_of_this_rank(session));
  const Work work = share_work(request, session);
  RunReport report;
  report.total = static_cast<int>(work.plan.tasks.size());
  report.already_done = static_cast<int>(work.finished.size());
  if (report.already_done < report.total) {
    Workbench bench(request.experiment, work.places, request.output.path(), compute_of(request.experiment, session.rank_on_node()),
                    [&] { return stop.asked(); });
    const Json environment = run_environment(session);
    ProgressLine line;
    dist::SchedulerSettings settings;
    settings.nodes = dist::nodes_of(session.hosts());
    settings.stop = [&] { return stop.asked(); };
    settings.seconds_left = [&] { return stop.seconds_left(); };
    if (world.rank() == 0) settings.progress = progress_reporter(request.output, line);
    report.outcome = dist::run_plan(work.plan, work.finished, world,
                                    [&](const dist::Task& task, const dist::Communicator& group) { run_task(task, bench, group, environment); },
                                    settings);
    line.finish();
    if (world.rank() == 0) request.output.write_outcome(report.outcome);
  }
  const bool merged_before = report.already_done == report.total && std::filesystem::exists(request.output.path() / "results.h5");
  if (world.rank() == 0 && !merged_before) merge(request, request.shard.count > 1 ? request.output.plan() : work.plan);
  return report;
}

}  // namespace cmc::stages
