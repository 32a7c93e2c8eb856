#include "stages/planning/task_seeds.hpp"

#include <algorithm>
#include <vector>

#include "pipeline/core/hash.hpp"

namespace cmc::stages {
namespace {

// `parameters` with each task that they name by its key named by what it asks for.
Json by_what_is_asked(const Json& parameters, const std::map<std::string, std::string>& asked) {
  if (parameters.is_string()) {
    const auto found = asked.find(parameters.get_ref<const std::string&>());
    return found == asked.end() ? parameters : Json(found->second);
  }
  Json named = parameters;
  if (named.is_structured())
    for (Json& item : named) item = by_what_is_asked(item, asked);
  return named;
}

}  // namespace

void TaskSeeds::fill(distributed::Task& task, const Experiment& experiment) {
  auto& p = task.parameters;
  const bool made_of_seeded =
      std::ranges::any_of(task.inputs, [&](const auto& input) { return seeded_.contains(input); });
  // A training names the seed among its settings.
  if (experiment.has_world() || (made_of_seeded && !p.contains("training"))) p["seed"] = experiment.seed();
  std::vector<std::string> inputs;
  for (const auto& input : task.inputs) inputs.push_back(asked_.at(input));
  std::ranges::sort(inputs);
  Json asks = by_what_is_asked(p, asked_);
  asks.erase("trained");  // a name alone
  const std::string asked = distributed::task_key(task.stage, asks, inputs);
  task.seed = seed_of({"task", asked});
  task.key = distributed::key_of(task);
  asked_[task.key] = asked;
  if (made_of_seeded || p.contains("seed") || p.contains("training")) seeded_.insert(task.key);
}

}  // namespace cmc::stages
