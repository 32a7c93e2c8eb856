#include <algorithm>
#include <iostream>

#include "pipeline/store/unit_store.hpp"
#include "stages/measured_costs.hpp"
#include "stages/output_folder.hpp"
#include "stages/progress_line.hpp"
#include "stages/simulated_runs.hpp"
#include "stages/verbs/verb.hpp"

namespace cmc::stages {
namespace {

namespace po = boost::program_options;

Json gather(const OutputFolder& output) {
  const store::UnitStore units(output.path());
  const std::vector<std::string> finished = units.keys();
  const auto progress = output.progress();
  Json status = {{"state", progress ? progress->value("state", "unknown") : "unknown"}, {"failures", Json::array()}};
  if (progress && progress->contains("failures")) status["failures"] = progress->at("failures");
  if (progress && progress->contains("running")) status["running"] = progress->at("running");
  Json missing = Json::array();
  std::vector<std::string> done;
  dist::Plan plan = output.plan();
  plan = measured_costs(plan, finished, units).calibrated(std::move(plan));
  for (const auto& task : plan.tasks)
    if (std::ranges::binary_search(finished, task.key))
      done.push_back(task.key);
    else
      missing.push_back({{"key", task.key}, {"name", task.name}, {"stage", task.stage}});
  int ranks = output.environment().value("ranks", 1);
  for (const auto& task : plan.tasks) ranks = std::max(ranks, task.gang);
  status["done"] = done.size();
  status["total"] = plan.tasks.size();
  status["missing"] = missing;
  status["ranks"] = ranks;
  status["estimated_seconds_left"] = simulate_runs(plan, done, {ranks}, ranks).front().result.makespan;
  return status;
}

void print(const Json& status) {
  std::cout << status.at("done") << " of " << status.at("total") << " tasks are done; last seen "
            << status.at("state").get<std::string>() << "\n";
  if (status.contains("running"))
    for (const auto& name : status.at("running"))
      if (!name.get<std::string>().empty()) std::cout << "  running  " << name.get<std::string>() << "\n";
  for (const auto& f : status.at("failures"))
    std::cout << "  failed   " << f.at("name").get<std::string>() << ": " << f.at("message").get<std::string>() << "\n";
  for (const auto& task : status.at("missing"))
    std::cout << "  missing  " << task.at("name").get<std::string>() << "\n";
  if (!status.at("missing").empty())
    std::cout << "about " << clock_time(status.at("estimated_seconds_left")) << " left on " << status.at("ranks") << " ranks\n";
}

ExitCode run(const std::vector<std::string>& given, const dist::Session& session) {
  po::options_description options("options");
  options.add_options()("json", "as JSON");
  Arguments arguments("status DIR [--json]", options, {"folder"});
  if (!arguments.parse(given) || session.world().rank() != 0) return ExitCode::done;
  const Json status = gather(OutputFolder(arguments.get("folder")));
  if (arguments.has("json")) std::cout << status.dump(2) << "\n";
  else print(status);
  return ExitCode::done;
}

}  // namespace

const Verb status_verb = {"status", "what is done, running, failed and missing of a run, from its files", run};

}  // namespace cmc::stages
