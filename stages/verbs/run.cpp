#include <algorithm>
#include <iostream>
#include <sstream>
#include <thread>

#include "pipeline/core/log.hpp"
#include "pipeline/distributed/stop_request.hpp"
#include "stages/running/run_experiment.hpp"
#include "stages/verbs/experiment_options.hpp"

namespace cmc::stages {
namespace {

namespace po = boost::program_options;

// "i/n", from 0.
Shard parse_shard(const std::string& text) {
  Shard shard;
  char slash = 0, rest = 0;
  std::istringstream in(text);
  if (!(in >> shard.index >> slash >> shard.count) || slash != '/' || in >> rest || shard.index < 0 ||
      shard.index >= shard.count)
    throw Usage({"--shard " + text, "is not i/n with 0 ≤ i < n", "for example --shard 0/4"});
  return shard;
}

std::optional<distributed::Deadline> deadline(const Arguments& arguments) {
  if (!arguments.has("time-limit")) return distributed::slurm_deadline();
  const std::chrono::duration<double> limit(
      arguments.number<double>("time-limit", {.least = 0, .most = 1e9, .above_least = true}));
  return std::chrono::system_clock::now() + std::chrono::duration_cast<std::chrono::system_clock::duration>(limit);
}

void print_outcome(const RunReport& report, const OutputFolder& output) {
  const auto& outcome = report.outcome;
  for (const auto& failure : outcome.failed)
    log_error("failed: ", failure.name, " (rank ", failure.rank, "): ", failure.message);
  if (!outcome.not_run.empty()) log_warning(outcome.not_run.size(), " tasks were not run");
  if (report.already_done == report.total) {
    std::cout << "nothing to do: all " << report.total << " tasks are done";
  } else {
    std::cout << report.already_done + outcome.done << " of " << report.total << " tasks are done";
    if (report.already_done > 0) std::cout << " (" << report.already_done << " were before)";
  }
  if (!outcome.stopped) std::cout << "\nresults: " << (output.path() / "results.h5").string();
  std::cout << "\n";
  for (const int lost : outcome.lost) log_warning("rank ", lost, " does not answer: the job ends without it");
  if (outcome.stopped)
    std::cout << "stopped: run the same command again to go on; cmc-report " << output.path().string()
              << " shows what there is\n";
}

// A full disk is told as such, whatever was done before, and is no stop after which a job would be queued again; else a
// failure of all there was to do tells what it was.
ExitCode exit_code(const distributed::Outcome& outcome) {
  for (const auto& failure : outcome.failed)
    if (distributed::is_disk_failure(failure.code)) return failure.code;
  if (outcome.stopped) return ExitCode::stopped;
  if (outcome.failed.empty()) return outcome.not_run.empty() ? ExitCode::done : ExitCode::some_failed;
  const ExitCode first = outcome.failed.front().code;
  const bool alike = std::ranges::all_of(outcome.failed, [&](const auto& failure) { return failure.code == first; });
  return outcome.done == 0 && alike ? first : ExitCode::some_failed;
}

ExitCode run(const std::vector<std::string>& given, const distributed::Session& session) {
  po::options_description options("options");
  add_experiment_options(options);
  options.add_options()("shard", po::value<std::string>(), "i/n: this job's share of the work, for job arrays")(
      "time-limit", po::value<double>(),
      "seconds this job may take (default: Slurm's); the run stops before and exits 75")(
      "reserve", po::value<double>()->default_value(120), "seconds kept for stopping before the time limit")(
      "stall-seconds", po::value<double>()->default_value(600),
      "a rank that is silent for longer is named and its work given to others");
  Arguments arguments("run EXPERIMENT.ini [options]", options, {"experiment"});
  if (!arguments.parse(given)) return ExitCode::done;
  const Range seconds = {.least = 0, .most = 1e9, .above_least = true};
  const double stall_seconds = arguments.number<double>("stall-seconds", seconds);
  const auto limit = deadline(arguments);
  const double reserve = arguments.number<double>("reserve", {.least = 0, .most = 1e9});
  const Experiment experiment = read_experiment(arguments);
  const OutputFolder output(output_folder(arguments, experiment));
  const int rank = session.world().rank();
  const Shard shard = arguments.has("shard") ? parse_shard(arguments.get("shard")) : Shard{};
  const RunLog log = RunLog::open(output.path(), shard, session.world());
  start_log({.rank = rank, .to_terminal = rank == 0, .file = log.file_of(rank)});
  const distributed::StopRequest stop(limit, reserve);
  const RunReport report = run_experiment({.experiment = experiment,
                                           .only = only_stages(arguments),
                                           .output = output,
                                           .shard = shard,
                                           .log = log,
                                           .stall_seconds = stall_seconds},
                                          session, stop);
  if (rank != 0) return exit_code(report.outcome);
  print_outcome(report, output);
  std::cout.flush();
  if (!report.outcome.lost.empty())
    session.abort(static_cast<int>(exit_code(report.outcome)));  // it would wait for them
  return exit_code(report.outcome);
}

}  // namespace

const Verb run_verb = {"run", "run what is missing of an experiment (under mpirun, srun, or alone)", run, true};

}  // namespace cmc::stages
