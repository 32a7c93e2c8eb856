#include <iostream>

#include "stages/all_stages.hpp"
#include "stages/planning/plan_experiment.hpp"
#include "stages/planning/planned_compute.hpp"
#include "stages/running/measured_costs.hpp"
#include "stages/running/output_folder.hpp"
#include "stages/running/progress_line.hpp"
#include "stages/running/simulated_runs.hpp"
#include "stages/verbs/experiment_options.hpp"
#include "stages/verbs/plan_text.hpp"

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

// For people, with --simulate's table or without.
void print(const ExperimentPlan& plan, const std::string& assumed, const std::string& simulated,
           const Arguments& arguments) {
  if (simulated.empty()) std::cout << task_lines(plan) << "\n";
  std::cout << sums_by_stage(plan.chosen);
  if (simulated.empty()) {
    double seconds = 0;
    for (const auto& task : plan.chosen.tasks) seconds += task.seconds;
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
    if (!arguments.has("json"))
      print(plan, assumption(experiment, !fit.factors().empty()), simulates ? table_of(runs) : "", arguments);
    else if (simulates)
      std::cout << Json{{"simulated", runs_json(runs)}, {"absent", absent_json(plan)}}.dump(2) << "\n";
    else
      std::cout << Json{{"tasks", tasks_json(plan)}, {"absent", absent_json(plan)}}.dump(2) << "\n";
    return ExitCode::done;
  }

}  // namespace

const Verb plan_verb = {"plan", "the tasks of an experiment with their cost, without running them", run};

}  // namespace cmc::stages
