#include "stages/running/simulated_runs.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <sstream>

#include "pipeline/core/error.hpp"
#include "stages/running/progress_line.hpp"

namespace cmc::stages {
namespace {

// A residency is the reference of a model, as JSON text; people know the model by its name.
std::string model_of(const std::string& residency) {
  const Json reference = Json::parse(residency, nullptr, false);
  if (!reference.is_object()) return residency;
  const std::string made = reference.value("task", "");
  return reference.value("name", residency) + (made.empty() ? "" : " " + made.substr(0, 8));
}

double above_least(const distributed::SimulationResult& result) {
  return result.makespan > 0 ? std::max(0.0, 1 - result.least / result.makespan) : 0;
}

int most_loads(const distributed::SimulationResult& result) {
  int most = 0;
  for (const auto& [residency, times] : result.loads) most = std::max(most, times);
  return most;
}

std::string needs_of(const SimulatedRun& run) {
  const std::string block = std::to_string(run.needed_on_a_node);
  if (run.needed == run.needed_on_a_node) return block + " ranks on a node";
  return std::to_string(run.needed) + " ranks, each " + block + " on a node";
}

}  // namespace

std::vector<SimulatedRun> simulate_runs(const distributed::Plan& plan, const std::vector<std::string>& finished,
                                        const std::vector<int>& ranks, int ranks_per_node) {
  std::vector<SimulatedRun> runs;
  for (const int count : ranks) {
    distributed::SimulationSettings settings;
    settings.rules.nodes = distributed::nodes_of(count, ranks_per_node);
    auto& run = runs.emplace_back(SimulatedRun{.ranks = count});
    if (const auto* task = distributed::find_without_room(plan, finished, settings.rules.nodes))
      run.needed = distributed::group_ranks(*task), run.needed_on_a_node = task->tensor_parallel;
    else
      run.result = distributed::simulate(plan, finished, count, settings);
  }
  return runs;
}

Json to_json(const SimulatedRun& run) {
  if (!run.result) return {{"ranks", run.ranks}, {"needed", run.needed}};
  Json loads = Json::object();
  for (const auto& [residency, times] : run.result->loads) loads[model_of(residency)] = times;
  return {{"ranks", run.ranks},
          {"makespan", run.result->makespan},
          {"least", run.result->least},
          {"idle_share", run.result->idle_share},
          {"above_least", above_least(*run.result)},
          {"loads", loads},
          {"reloads", run.result->reloads}};
}

std::string table_of(const std::vector<SimulatedRun>& runs) {
  std::string text = "    ranks      makespan   lower bound   idle   above bound   loads of a model, at most   again\n";
  for (const auto& run : runs) {
    char line[160];
    if (!run.result)
      std::snprintf(line, sizeof line, "%9d             –             –      –             –   needs %s\n", run.ranks,
                    needs_of(run).c_str());
    else
      std::snprintf(line, sizeof line, "%9d  %12s  %12s  %4.1f %%        %4.1f %%   %-24d   %d\n", run.ranks,
                    clock_time(run.result->makespan).c_str(), clock_time(run.result->least).c_str(),
                    100 * run.result->idle_share, 100 * above_least(*run.result), most_loads(*run.result),
                    run.result->reloads);
    text += line;
  }
  return text;
}

std::vector<int> rank_counts(const std::string& text) {
  std::vector<int> counts;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    int count = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), count);
    if (error != std::errc() || end != part.data() + part.size() || count < 1)
      throw Usage({"--simulate " + text, "\"" + part + "\" is no number of ranks", "for example --simulate 1,8,64"});
    counts.push_back(count);
  }
  if (counts.empty()) throw Usage({"--simulate", "names no number of ranks", "for example --simulate 1,8,64"});
  return counts;
}

}  // namespace cmc::stages
