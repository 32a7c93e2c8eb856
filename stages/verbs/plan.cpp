#include <iostream>
#include <map>

#include "stages/output_folder.hpp"
#include "stages/plan_experiment.hpp"
#include "stages/progress_line.hpp"
#include "stages/verbs/experiment_options.hpp"

namespace cmc::stages {
namespace {

namespace po = boost::program_options;

void print(const dist::Plan& plan, int ranks) {
  struct Sum { int tasks = 0; double seconds = 0; int64_t bytes = 0; };
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
  std::cout << "on " << ranks << " ranks at best about " << clock_time(all.seconds / ranks) << "\n";
}

ExitCode run(const std::vector<std::string>& given, const dist::Session& session) {
  po::options_description options("options");
  add_experiment_options(options);
  options.add_options()("ranks", po::value<int>()->default_value(session.world().size()), "ranks to estimate for")(
      "json", "the tasks with all their parameters as JSON");
  Arguments arguments("plan EXPERIMENT.ini [options]", options, {"experiment"});
  if (!arguments.parse(given) || session.world().rank() != 0) return ExitCode::done;
  const Experiment experiment = read_experiment(arguments);
  const dist::Plan plan = plan_experiment(experiment, output_folder(arguments, experiment), only_stages(arguments)).plan;
  if (!arguments.has("json")) {
    print(plan, std::max(1, arguments.get<int>("ranks")));
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
