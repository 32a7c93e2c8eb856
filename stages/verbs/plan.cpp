#include <iostream>

#include "stages/all_stages.hpp"
#include "stages/planning/plan_experiment.hpp"
#include "stages/planning/planned_compute.hpp"
#include "stages/running/measured_costs.hpp"
#include "stages/running/output_folder.hpp"
#include "stages/running/progress_line.hpp"
#include "stages/running/simulated_runs.hpp"
#include "stages/verbs/experiment_options.hpp"
#include "stages/verbs/memory_table.hpp"
#include "stages/verbs/plan_text.hpp"
#include "stages/workbench/workbench.hpp"

namespace cmc::stages {
namespace {

namespace po = boost::program_options;

std::string assumption(const Experiment& experiment, bool measured) {
  if (measured) return "by the measured times of finished tasks";
  const bool gpus = plans_for_gpus(experiment);
  return std::string("if a rank does ") +
         (gpus ? "50 TFLOP/s (a GPU each)" : "50 GFLOP/s (processor cores; GPUs: --set compute.device=cuda)") +
         "; --costs of a finished run calibrates";
}

// What the plan asks of the ranks' devices.
struct Memory {
  int64_t device_bytes = 0;  // 0: not known
  std::vector<ModelNeed> needs = {};
};

// For people, with --simulate's table or without.
void print(const ExperimentPlan& plan, const Memory& memory, const std::string& assumed, const std::string& simulated,
           const Arguments& arguments) {
  if (simulated.empty()) std::cout << task_lines(plan) << "\n";
  std::cout << sums_by_stage(plan.chosen);
  if (simulated.empty()) {
    double seconds = 0;
    for (const auto& task : plan.chosen.tasks) seconds += task.seconds;
    const int ranks = arguments.number<int>("ranks", {.least = 1, .most = 1e6});
    std::cout << "on " << ranks << (ranks == 1 ? " rank" : " ranks") << " at best about " << clock_time(seconds / ranks)
              << ", " << assumed << "\n";
  } else {
    std::cout << assumed << ":\n" << simulated;
  }
  std::cout << memory_table(memory.needs, memory.device_bytes) << text_of_absent(plan, arguments.get("experiment"));
}

Json absent_json(const ExperimentPlan& plan) {
  Json absent = Json::array();
  for (const auto& [path, input] : plan.absent)
    absent.push_back({{"path", path},
                      {"kind", input.kind == AbsentInput::Kind::model ? "model" : "data"},
                      {"bytes", input.bytes},
                      {"assumed", input.assumed}});
  return absent;
}

Json tasks_json(const ExperimentPlan& plan) {
  Json tasks = Json::array();
  for (const auto& task : plan.chosen.tasks) {
    tasks.push_back(to_json(task));
    if (plan.provisional.contains(task.key)) tasks.back()["provisional"] = true;
  }
  return tasks;
}

Json runs_json(const std::vector<SimulatedRun>& runs) {
  Json simulated = Json::array();
  for (const auto& run : runs) simulated.push_back(to_json(run));
  return simulated;
}

std::vector<SimulatedRun> simulated(const distributed::Plan& plan, const Arguments& arguments) {
  const int on_a_node = arguments.number<int>("ranks-per-node", {.least = 1, .most = 1e6});
  return simulate_runs(plan, {}, rank_counts(arguments.get("simulate")), on_a_node);
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
  arguments.number<int>("ranks", {.least = 1, .most = 1e6});
  if (!arguments.has("simulate")) arguments.expect_not_given({"ranks-per-node"}, "there is no --simulate");
  const Experiment experiment = read_experiment(arguments);
  const auto output = output_folder(arguments, experiment);
  if (arguments.has("costs")) OutputFolder(arguments.get("costs")).plan();  // there has been a run
  const auto costs = arguments.has("costs") ? std::filesystem::path(arguments.get("costs")) : output;
  const distributed::CostModel fit = measured_costs(costs);
  ExperimentPlan plan = plan_experiment(stages(), experiment, output, only_stages(arguments), Absent::assumed);
  plan.chosen = with_costs_of(costs, fit, plan.chosen);
  const bool simulates = arguments.has("simulate");
  const auto runs = simulates ? simulated(plan.chosen, arguments) : std::vector<SimulatedRun>{};
  Memory memory{device_bytes_of(experiment)};
  memory.needs = needs_of(plan.devices, plan.chosen.tasks, memory.device_bytes);
  if (!arguments.has("json"))
    print(plan, memory, assumption(experiment, !fit.factors().empty()), simulates ? table_of(runs) : "", arguments);
  else if (simulates)
    std::cout << Json{{"simulated", runs_json(runs)}, {"absent", absent_json(plan)}}.dump(2) << "\n";
  else
    std::cout << Json{{"tasks", tasks_json(plan)},
                      {"absent", absent_json(plan)},
                      {"models", memory_json(memory.needs)},
                      {"device_bytes", memory.device_bytes}}
                     .dump(2)
              << "\n";
  std::cout.flush();
  expect_fits(experiment, plan.devices, plan.chosen.tasks, memory.device_bytes);
  return ExitCode::done;
}

}  // namespace

const Verb plan_verb = {"plan", "the tasks of an experiment with their cost, without running them", run};

}  // namespace cmc::stages
