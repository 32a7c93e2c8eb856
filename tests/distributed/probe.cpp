// Drives the layer under mpirun: probe_distributed VERB [ARGUMENT]. Each rank prints JSON lines
// with its rank; see the verbs below.
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <optional>
#include <thread>

#include "pipeline/core/hash.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/core/log.hpp"
#include "pipeline/core/random.hpp"
#include "pipeline/distributed/node_cores.hpp"
#include "pipeline/distributed/scheduler.hpp"
#include "pipeline/distributed/session.hpp"
#include "pipeline/distributed/stop_request.hpp"

using namespace cmc;
using namespace cmc::distributed;

namespace {

void print(const Session& session, Json line) {
  line["rank"] = session.world().rank();
  std::cout << line.dump() + "\n" << std::flush;
}

void sleep_seconds(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

double cpu_seconds() {
  rusage used;
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

std::string sum_of_random_shares(const Communicator& group, int shares, size_t length) {
  const auto [first, last] = shares_of(group.rank(), group.size(), shares);
  std::vector<std::vector<float>> values;
  for (int share = first; share < last; ++share) {
    Random random(share);
    auto& one = values.emplace_back(length);
    for (float& x : one) x = static_cast<float>(random.uniform() - 0.5);
  }
  const std::vector<std::span<const float>> mine(values.begin(), values.end());
  std::vector<float> sum(length);
  group.ordered_sum(mine, sum);
  return sha256({reinterpret_cast<const char*>(sum.data()), sum.size() * sizeof(float)});
}

// {"rank", "size", "hosts", "ranks_on_node", "rank_on_node", "threads"}
int info(const Session& session, const Json&) {
  print(session, {{"size", session.world().size()},
                  {"hosts", session.hosts()},
                  {"ranks_on_node", session.ranks_on_node()},
                  {"rank_on_node", session.rank_on_node()},
                  {"threads", threads_of_this_rank(session)}});
  return 0;
}

// → {"computing", "alone"}: cores that a rank may use while all compute, and on rank 0 while the others wait.
int cores(const Session& session, const Json&) {
  const auto& world = session.world();
  const NodeCores cores(session, threads_of_this_rank(session));
  Json line;
  {
    const NodeCores::Computing computing(cores);
    world.barrier();
    line["computing"] = cores.usable();
    world.barrier();
  }
  world.barrier();
  if (world.rank() == 0) {
    const NodeCores::Computing computing(cores);
    line["alone"] = cores.usable();
  }
  print(session, line);
  return 0;
}

// {"shares", "length", "repeat"} → {"sums": [sha256 …], "seconds"}
int sum(const Session& session, const Json& with) {
  Json sums = Json::array();
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < with.value("repeat", 1); ++i)
    sums.push_back(sum_of_random_shares(session.world(), with.at("shares"), with.at("length")));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  print(session, {{"sums", sums}, {"seconds", took.count()}});
  return 0;
}

// {"seconds"} → {"cpu"}: CPU seconds that each rank spends while it waits for rank 0, in a barrier and in a plan.
int wait(const Session& session, const Json& with) {
  const double seconds = with.at("seconds");
  const int rank = session.world().rank();
  const double before = cpu_seconds();
  if (rank == 0) sleep_seconds(seconds);
  session.world().barrier();
  const double between = cpu_seconds();
  Plan plan;
  plan.tasks.push_back(
      {.key = "a", .stage = "test", .name = "a", .parameters = {}, .inputs = {}, .compute = "", .residency = ""});
  run_plan(plan, {}, session.world(), [&](const Task&, const Communicator&) { sleep_seconds(seconds); }, {});
  print(session, {{"barrier", between - before}, {"plan", cpu_seconds() - between}});
  return 0;
}

// Rank `rank` throws with the session alive.
int fail(const Session& session, const Json& with) {
  if (session.world().rank() == with.at("rank")) throw BadData({"probe", "asked to fail", ""});
  session.world().barrier();
  return 0;
}

// Waits in a barrier that rank 0 never enters.
int hang(const Session& session, const Json&) {
  print(session, {{"pid", getpid()}});
  if (session.world().rank() == 0) sleep_seconds(3600);
  session.world().barrier();
  return 0;
}

Plan plan_from(const Json& tasks) {
  Plan plan;
  for (const Json& one : tasks) {
    Task& task = plan.tasks.emplace_back();
    task.key = one.at("key");
    task.stage = "test";
    task.name = task.key;
    task.parameters = one;
    task.inputs = one.value("inputs", std::vector<std::string>());
    task.residency = one.value("residency", "");
    task.seconds = one.value("seconds", 1.0);
    task.load_seconds = one.value("load_seconds", 0.0);
    task.shares = one.value("shares", 1);
    task.tensor_parallel = one.value("tensor_parallel", 1);
    task.pipeline_parallel = one.value("pipeline_parallel", 1);
    task.resumable = one.value("resumable", false);
  }
  return plan;
}

// What a synthetic task is told: "sleep" (s); "fail": "always" or "once" (the first to create the file `once`); on
// "fail_rank" of its group alone where given; "stop": throws Stopped; "sum": length of an ordered sum over its shares.
void do_task(const Session& session, const Task& task, const Communicator& group, const std::string& folder) {
  const Json& with = task.parameters;
  Json line = {{"ran", task.key}, {"group", group.size()}, {"group_rank", group.rank()}, {"residency", task.residency}};
  if (task.taken_over) line["taken_over"] = true;
  if (with.contains("sum")) line["sum"] = sum_of_random_shares(group, task.shares, with.at("sum"));
  print(session, line);
  sleep_seconds(with.value("sleep", 0.0));
  const std::string how = with.value("fail", "");
  const bool here = with.value("fail_rank", group.rank()) == group.rank();
  if (how == "always" && here) throw std::runtime_error("told to fail");
  if (how == "once" && here && std::filesystem::create_directory(folder + "/" + task.key))
    throw std::runtime_error("told to fail once");
  if (with.value("stop", false)) throw Stopped({task.key, "told to stop", ""});
  if (group.size() > 1 && (how == "always" || how == "once")) group.barrier();
  if (with.value("wait_for_stop", false)) sleep_seconds(0.3);
}

// {"tasks": [...], "finished": [...], "folder", "stall_seconds", "time_limit" (s), "watch"} → a line for each task that
// ran, and the outcome
int run(const Session& session, const Json& with) {
  const Plan plan = plan_from(with.at("tasks"));
  std::optional<Deadline> deadline;
  if (with.contains("time_limit"))
    deadline = std::chrono::system_clock::now() + std::chrono::seconds(with.at("time_limit").get<int>());
  StopRequest stop(deadline, 0);
  SchedulerSettings settings;
  settings.seconds_left = [&] { return stop.seconds_left(); };
  settings.stop = [&] { return stop.asked(); };
  settings.stall_seconds = with.value("stall_seconds", 600.0);
  settings.nodes = nodes_of(with.value("hosts", std::vector<std::string>(session.world().size(), "here")));
  if (with.value("watch", false)) print(session, {{"pid", getpid()}});
  const RunTask work = [&](const Task& task, const Communicator& group) {
    do_task(session, task, group, with.value("folder", "."));
  };
  const Outcome outcome =
      run_plan(plan, with.value("finished", std::vector<std::string>()), session.world(), work, settings);
  Json failed = Json::array();
  for (const Failure& one : outcome.failed) failed.push_back({{"key", one.key}, {"message", one.message}});
  print(session,
        {{"outcome",
          {{"done", outcome.done}, {"failed", failed}, {"not_run", outcome.not_run}, {"stopped", outcome.stopped}}}});
  const int code = outcome.stopped ? 75 : outcome.failed.empty() ? 0 : 1;
  if (session.world().rank() == 0 && !outcome.lost.empty()) session.abort(code);
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, std::function<int(const Session&, const Json&)>> verbs = {
      {"info", info}, {"cores", cores}, {"sum", sum}, {"wait", wait}, {"fail", fail}, {"hang", hang}, {"run", run}};
  if (argc < 2 || !verbs.contains(argv[1])) return std::fputs("probe_distributed VERB [JSON]\n", stderr), 2;
  try {
    Session session(argc, argv);
    start_log({.rank = session.world().rank()});
    session.abort_with(static_cast<int>(ExitCode::bad_data));
    return verbs.at(argv[1])(session, argc > 2 ? Json::parse(argv[2]) : Json::object());
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  }
}
