#include "stages/running/run_experiment.hpp"

#include <ATen/Parallel.h>
#include <torch/cuda.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "pipeline/core/error.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/core/log.hpp"
#include "pipeline/core/process_time.hpp"
#include "pipeline/core/provenance.hpp"
#include "pipeline/distributed/node_cores.hpp"
#include "pipeline/model/device_memory.hpp"
#include "pipeline/records/labels.hpp"
#include "pipeline/records/results_tables.hpp"
#include "pipeline/store/results.hpp"
#include "pipeline/store/unit_claim.hpp"
#include "pipeline/store/unit_store.hpp"
#include "stages/all_stages.hpp"
#include "stages/planning/plan_experiment.hpp"
#include "stages/running/measured_costs.hpp"
#include "stages/running/progress_line.hpp"
#include "stages/workbench/memory_retry.hpp"
#include "stages/workbench/workbench.hpp"

namespace cmc::stages {
namespace {

struct Work {
  distributed::Plan plan;
  // Rank 0's: the keys of what results.h5 is made of, the other shards' tasks too; and all that was asked for.
  std::vector<std::string> merged;
  std::vector<records::PlannedTask> whole;
  Places places;
  std::vector<std::string> finished;
};

// Shards share out residencies, so that a target is loaded by one shard; what others need too (inputs) is in all of
// them.
void keep_shard(distributed::Plan& plan, const Shard& shard) {
  if (shard.count == 1) return;
  std::set<std::string> wanted;
  for (auto task = plan.tasks.rbegin(); task != plan.tasks.rend(); ++task) {
    const auto place =
        seed_of({task->residency.empty() ? task->key : task->residency}) % static_cast<uint64_t>(shard.count);
    if (place == static_cast<uint64_t>(shard.index)) wanted.insert(task->key);
    if (wanted.contains(task->key)) wanted.insert(task->inputs.begin(), task->inputs.end());
  }
  std::erase_if(plan.tasks, [&](const distributed::Task& task) { return !wanted.contains(task.key); });
}

Json run_environment(const distributed::Session& session) {
  Json environment = provenance();
  environment["ranks"] = session.world().size();
  environment["threads_per_rank"] = at::get_num_threads();
  environment["cuda_devices"] = torch::cuda::is_available() ? torch::cuda::device_count() : 0;
  return environment;
}

std::vector<std::string> keys_of(const distributed::Plan& plan) {
  std::vector<std::string> keys;
  for (const auto& task : plan.tasks) keys.push_back(task.key);
  return keys;
}

// Those of the keys that are done, in their order. `present`: the sorted keys of all units, of one listing, as asking
// for each would be slow on a network.
std::vector<std::string> finished_of(std::vector<std::string> keys, const std::vector<std::string>& present) {
  std::erase_if(keys, [&](const std::string& key) { return !std::ranges::binary_search(present, key); });
  return keys;
}

std::vector<distributed::Task> unfinished(const Work& work) {
  const std::set<std::string> done(work.finished.begin(), work.finished.end());
  std::vector<distributed::Task> left;
  for (const auto& task : work.plan.tasks)
    if (!done.contains(task.key)) left.push_back(task);
  return left;
}

Work found_work(const RunRequest& request, const Json& environment) {
  Work work;
  auto planned = plan_experiment(stages(), request.experiment, request.output.path(), request.only, Absent::fails);
  request.output.claim(request.experiment, planned.whole, environment);
  work.merged = keys_of(planned.chosen);
  for (const auto& task : planned.whole.tasks)
    work.whole.push_back({task.key, task.stage, task.name, task.parameters, task.inputs});
  const store::UnitStore units(request.output.path());
  if (const int left = units.remove_abandoned(); left > 0)
    log_info("removed ", left, " half-written files of killed runs");
  const std::vector<std::string> present = units.keys();
  work.plan = measured_costs(planned.whole, present, units).calibrated(std::move(planned.chosen));
  keep_shard(work.plan, request.shard);
  work.places = std::move(planned.places);
  work.finished = finished_of(keys_of(work.plan), present);
  expect_fits(request.experiment, planned.devices, unfinished(work), device_bytes_of(request.experiment));
  return work;
}

// Two lines: what is no plan, and the plan.
Work work_from(const std::string& text) {
  const size_t end = text.find('\n');
  const Json first = Json::parse(text.substr(0, end));
  Work work;
  work.plan = plan_from(Json::parse(text.substr(end)), "plan");
  work.places = first.at("places").get<Places>();
  work.finished = first.at("finished").get<std::vector<std::string>>();
  return work;
}

// Rank 0 reads the disk, the others get what it found: one plan, whatever happens meanwhile.
Work share_work(const RunRequest& request, const distributed::Session& session) {
  Work work;
  const auto& world = session.world();
  if (world.rank() == 0) work = found_work(request, run_environment(session));
  if (world.size() == 1) return work;
  std::string text;
  if (world.rank() == 0)
    text = Json{{"places", work.places}, {"finished", work.finished}}.dump() + "\n" + plan_text(work.plan);
  int64_t size = static_cast<int64_t>(text.size());
  world.broadcast(std::as_writable_bytes(std::span(&size, 1)), 0);
  text.resize(static_cast<size_t>(size));
  world.broadcast(std::as_writable_bytes(std::span(text)), 0);
  return world.rank() == 0 ? std::move(work) : work_from(text);
}

const Stage& stage_named(const std::string& name) {
  return *std::ranges::find_if(stages(), [&](const Stage& stage) { return stage.name == name; });
}

// Whether the group computes the task now: not when a run or shard beside this one has done it meanwhile. On the
// group's first rank `claim` keeps others from it.
bool is_ours(const distributed::Task& task, Workbench& bench, const distributed::Communicator& group,
             std::optional<store::UnitClaim>& claim) {
  char needed = 0;
  if (group.rank() == 0) {
    // The rank that fell silent may hold the claim for ever: whoever takes its task over does not wait for it.
    const store::ClaimWaiting waiting{
        .patience_seconds = task.taken_over ? 0 : std::max(600.0, 10 * task.seconds),
        .stop = bench.stop(),
        .first_wait = [&] { log_info("another run is at ", task.name, ": waiting for it"); }};
    claim = store::claim_unless_done(bench.units(), task.key, waiting);
    needed = claim ? 1 : 0;
  }
  group.broadcast(std::as_writable_bytes(std::span(&needed, 1)), 0);
  return needed != 0;
}

// Where memory runs out on any of the ranks, all go on with half of what takes it.
store::Unit run_stage(const distributed::Task& task, Workbench& bench, const distributed::Communicator& group) {
  Attempts of_this_task(group);
  Attempts& attempts =
      distributed::group_ranks(task) > 1 ? bench.tensor_group() : of_this_task;  // a split model stays, with its group
  const auto spare = [&] {
    model::release_cached_bytes(bench.compute().device);
    const bool spared = bench.spare_memory();
    if (spared)
      log_warning(task.name, ": memory ran out, again in smaller passes, ", bench.batch(), " rows decoded together");
    return spared;
  };
  const auto work = [&](const distributed::Communicator& ranks) {
    if (distributed::group_ranks(task) > 1) bench.regroup_split_models();
    return stage_named(task.stage).run(task, bench, ranks);
  };
  store::Unit unit = with_less_memory(attempts, work, spare);
  if (distributed::group_ranks(task) == 1) attempts.close();
  return unit;
}

// Seconds that a rank's device has been at work. CUDA: a clock that waits until the device has done what it was given;
// it runs while the rank holds the device, whether that is busy or not. CPU: the processor time of the process.
double device_clock(const Compute& compute) {
  if (!compute.device.is_cuda()) return process_cpu_seconds();
  torch::cuda::synchronize(compute.device.index());
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Of all ranks of the group; collective.
double over_ranks(double seconds, const distributed::Communicator& group) {
  double total = 0;
  for (const auto& mine : group.all_gather(Json(seconds).dump())) total += Json::parse(mine).get<double>();
  return total;
}

// A plan made where a GPU is has other keys than what a rank without one computes.
void expect_compute(const distributed::Task& task, const Compute& mine) {
  if (task.compute.empty() || task.compute == name_of(mine)) return;
  throw BadExperiment(
      {"compute", "the plan is for " + task.compute + ", this rank computes in " + name_of(mine),
       "set compute.device, compute.dtype and compute.deterministic as they were planned, or give ranks of one kind"});
}

// On the scheduler's worker thread, whose number of threads is its own.
void run_task(const distributed::Task& task, Workbench& bench, const distributed::Communicator& group,
              const Json& environment, const distributed::NodeCores& cores) {
  torch::set_num_threads(environment.at("threads_per_rank").get<int>());
  const distributed::NodeCores::Computing computing(cores);
  using Clock = std::chrono::steady_clock;
  std::optional<store::UnitClaim> claim;
  if (!is_ours(task, bench, group, claim)) return log_info("another run has done ", task.name);
  expect_compute(task, bench.compute());
  const auto start = Clock::now();
  const bool split = distributed::group_ranks(task) > 1;
  const bool loaded = bench.enter(task.residency, split ? group : distributed::Communicator(),
                                  distributed::group_ranks(task), task.pipeline_parallel);
  model::restart_peak_bytes(bench.compute().device);
  const double device_start = device_clock(bench.compute());
  store::Unit unit = run_stage(task, bench, group);
  const double device_seconds = over_ranks(device_clock(bench.compute()) - device_start, group);
  unit.key = task.key;
  unit.stage = task.stage;
  unit.task = task.parameters;
  unit.task["name"] = task.name;
  unit.task["stage"] = task.stage;
  unit.task["inputs"] = task.inputs;
  unit.task["revision"] = task.revision;
  unit.task["compute"] = task.compute;
  unit.labels = records::plain_labels(records::labels_of(task.stage, unit.task, task.name));
  unit.labels.push_back({"name", task.name});
  unit.provenance = environment;
  unit.provenance["random_seed"] = task.seed;
  const double wall_seconds = std::chrono::duration<double>(Clock::now() - start).count();
  unit.cost.wall_seconds = wall_seconds;
  unit.cost.device_seconds = device_seconds;
  unit.cost.estimated_seconds = task.seconds;
  unit.cost.ranks = group.size();
  unit.cost.loaded = loaded;
  unit.cost.peak_bytes = model::peak_bytes(bench.compute().device);
  if (group.rank() == 0) bench.units().publish(unit);
  log_info("done ", task.name, " in ", clock_time(wall_seconds));
}

// A run that was killed before it merged leaves an older results.h5, and so may shards that merge at the same time.
bool holds_all(const std::filesystem::path& results, const std::vector<std::string>& keys) {
  std::set<std::string> held;
  try {
    for (const auto& unit : store::read_results(results).units) held.insert(unit.key);
  } catch (const Error&) {
    return false;  // none, or damaged
  }
  return std::ranges::all_of(keys, [&](const std::string& key) { return held.contains(key); });
}

void merge(const RunRequest& request, const Work& work, bool all_done_before) {
  const store::UnitStore units(request.output.path());
  const std::vector<std::string> keys = finished_of(work.merged, units.keys());
  if (keys.empty() || (all_done_before && holds_all(request.output.path() / "results.h5", keys))) return;
  records::write_results(request.output.path(),
                         {request.experiment.about.title, request.output.experiment(), request.output.environment()},
                         keys, work.whole);
}

// A run is reported on rank 0's terminal and, for `status`, in the folder.
auto progress_reporter(const RunLog& log, ProgressLine& line) {
  using Clock = std::chrono::steady_clock;
  return [&log, &line, last = Clock::time_point{}](const distributed::Progress& progress) mutable {
    line.show(progress);
    if (Clock::now() - last < std::chrono::seconds(2)) return;
    last = Clock::now();
    log.write_progress(progress);
  };
}

}  // namespace

RunReport run_experiment(const RunRequest& request, const distributed::Session& session,
                         const distributed::StopRequest& stop) {
  const auto& world = session.world();
  torch::set_num_threads(distributed::threads_of_this_rank(session));
  const Work work = share_work(request, session);
  RunReport report;
  report.total = static_cast<int>(work.plan.tasks.size());
  report.already_done = static_cast<int>(work.finished.size());
  if (report.already_done < report.total) {
    const Compute compute = compute_of(request.experiment, session.rank_on_node());
    const distributed::NodeCores cores(session, at::get_num_threads());
    const auto take_cores = [&cores] {
      if (const int usable = cores.usable(); usable != at::get_num_threads()) torch::set_num_threads(usable);
    };
    Workbench bench(
        request.experiment, work.places, request.output.path(), compute, [&] { return stop.asked(); }, take_cores);
    const Json environment = run_environment(session);
    ProgressLine line;
    distributed::SchedulerSettings settings;
    settings.nodes = distributed::nodes_of(session.hosts());
    settings.stall_seconds = request.stall_seconds;
    settings.stop = [&] { return stop.asked(); };
    settings.seconds_left = [&] { return stop.seconds_left(); };
    if (world.rank() == 0) settings.progress = progress_reporter(request.log, line);
    report.outcome = distributed::run_plan(
        work.plan, work.finished, world,
        [&](const distributed::Task& task, const distributed::Communicator& group) {
          run_task(task, bench, group, environment, cores);
        },
        settings);
    line.finish();
  }
  if (world.rank() == 0) {
    request.log.write_outcome(report.outcome);
    // A run that was asked to stop does so at once; the report reads units, too, and the next run merges.
    if (!report.outcome.stopped) merge(request, work, report.already_done == report.total);
    store::UnitStore(request.output.path()).remove_abandoned();  // of ranks that outlived their run's end
  }
  return report;
}

}  // namespace cmc::stages
