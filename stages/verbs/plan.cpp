#include <iostream>
#include <map>

#include "stages/all_stages.hpp"
#include "stages/planning/plan_experiment.hpp"
#include "stages/planning/planned_compute.hpp"
#include "stages/running/measured_costs.hpp"
#include "stages/running/output_folder.hpp"
#include "stages/running/progress_line.hpp"
#include "stages/running/simulated_runs.hpp"
#include "stages/verbs/experiment_options.hpp"

namespace cmc::stages {
namespace {

namespace po = boost::program_options;

void print(const distributed::Plan& plan, int ranks, const std::string& assumed) {
  struct Sum {
    int tasks = 0;
    double seconds = 0;
    int64_t bytes = 0;
  };
  std::map<std::string, Sum> by_stage;
  Sum all;
  for (const auto& task : plan.tasks) {
    std::cout << task.key.substr(0, 12) << "  " << clock_time(task.seconds) << "  " << task.name << "\n";
    for (Sum* sum : {&by_stage[task.stage], &all}) {
      ++sum->tasks;
      sum->seconds += task.seconds;
      sum->bytes = std::max(sum->bytes, task.bytes);
    }
  }
  std::cout << "\n";
  const auto line = [](const std::string& name, const Sum& sum) {
    std::cout << name << ": " << sum.tasks << " tasks, about " << clock_time(sum.seconds) << " of work, at most "
              << sum.bytes / 1'000'000 << " MB a task\n";
  };
  for (const auto& [stage, sum] : by_stage) line(stage, sum);
  line("all", all);
  std::cout << "on " << ranks << " ranks at best about " << clock_time(all.seconds / ranks) << ", " << assumed << "\n";
}

std::string assumption(const Experiment& experiment, bool measured) {
  if (measured) return "by the measured times of finished tasks";
  const bool gpus = plans_for_gpus(experiment);
  return std::string("if a rank does ") +
         (gpus ? "50 TFLOP/s (a GPU each)" : "50 GFLOP/s (processor cores; GPUs: --set compute.device=cuda)") +
         "; --costs of a finished run calibrates";
}

void simulate(const distributed::Plan& plan, const Arguments& arguments) {
  const int on_a_node = arguments.number<int>("ranks-per-node", {.least = 1, .most = 1e6});
  const auto runs = simulate_runs(plan, {}, rank_counts(arguments.get("simulate")), on_a_node);
  if (!arguments.has("json")) {
    std::cout << table_of(runs);
    return;
  }
  Json simulated = Json::array();
  for (const auto& run : runs) simulated.push_back(to_json(run));
  std::cout << Json{{"simulated", simulated}}.dump(2) << "\n";
}

ExitCode run(const std::vector<std::string>& given, const distributed::Session& session) {
  po::options_description options("options");
  add_experiment_options(options);
  options.add_options()("ranks", po::value<int>()->default_value(session.world().size()), "ranks to estimate for")(
      "simulate", po::value<std::string>(), "the run on these numbers of ranks, e.g. 1,8,64: how long, how much idle")(
      "ranks-per-node", po::value<int>()->default_value(8),
      "of the simulated machine: a model's ranks are on one node")(
      "costs", po::value<std::string>(),
      "folder of a run whose measured times calibrate the estimates (default: --output's)")(
      "json", "as JSON: the tasks with all their parameters, or the simulation");
  Arguments arguments("plan EXPERIMENT.ini [options]", options, {"experiment"});
  if (!arguments.parse(given) || session.world().rank() != 0) return ExitCode::done;
  const int ranks = arguments.number<int>("ranks", {.least = 1, .most = 1e6});
  if (!arguments.has("simulate")) arguments.expect_not_given({"ranks-per-node"}, "there is no --simulate");
  const Experiment experiment = read_experiment(arguments);
  const auto output = output_folder(arguments, experiment);
  if (arguments.has("costs")) OutputFolder(arguments.get("costs")).plan();  // there has been a run
  const auto costs = arguments.has("costs") ? std::filesystem::path(arguments.get("costs")) : output;
  const distributed::CostModel fit = measured_costs(costs);
  const distributed::Plan plan =
      with_costs_of(costs, fit, plan_experiment(stages(), experiment, output, only_stages(arguments)).chosen);
  if (arguments.has("simulate")) {
    simulate(plan, arguments);
    return ExitCode::done;
  }
  if (!arguments.has("json")) {
    print(plan, ranks, assumption(experiment, !fit.factors().empty()));
    return ExitCode::done;
  }
  Json tasks = Json::array();
  for (const auto& task : plan.tasks) tasks.push_back(to_json(task));
  std::cout << Json{{"tasks", tasks}}.dump(2) << "\n";
  return ExitCode::done;
}

}  // namespace

const Verb plan_verb = {"plan", "the tasks of an experiment with their cost, without running them", run};

}  // namespace cmc::stages
