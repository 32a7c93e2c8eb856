#include "pipeline/distributed/plan.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "pipeline/core/error.hpp"
#include "pipeline/core/hash.hpp"

namespace cmc::distributed {
namespace {

[[noreturn]] void throw_bad_task(const Task& task, const std::string& what) {
  throw Internal({"plan: task \"" + task.name + "\" (" + task.stage + ", key " + task.key + ")", what, ""});
}

void require_finite(const Json& value, const std::string& stage) {
  if (value.is_number_float() && !std::isfinite(value.get<double>()))
    throw Internal({"task of stage " + stage, "has a parameter that is not finite", "give a finite number"});
  if (value.is_structured())
    for (const Json& item : value) require_finite(item, stage);
}

void check_estimates(const Task& task) {
  if (!(std::isfinite(task.seconds) && task.seconds >= 0)) throw_bad_task(task, "has no valid estimate of seconds");
  if (!(std::isfinite(task.load_seconds) && task.load_seconds >= 0))
    throw_bad_task(task, "has no valid estimate of load_seconds");
  if (task.shares < 1) throw_bad_task(task, "has " + std::to_string(task.shares) + " shares");
  if (task.tensor_parallel < 1 || task.pipeline_parallel < 1)
    throw_bad_task(task, "has a group of " + std::to_string(task.pipeline_parallel) + " blocks of " +
                             std::to_string(task.tensor_parallel) + " ranks");
  if (group_ranks(task) > 1 && task.shares > 1 && !task.residency.empty())
    throw_bad_task(task, "has both a group that keeps its model and shares");
}

}  // namespace

std::string task_key(const std::string& stage, const Json& parameters, const std::vector<std::string>& inputs) {
  require_finite(parameters, stage);
  try {
    return sha256(Json{{"stage", stage}, {"parameters", parameters}, {"inputs", inputs}}.dump());
  } catch (const Json::exception& error) {
    throw Internal({"task of stage " + stage, std::string("cannot be written as JSON: ") + error.what(),
                    "give parameters in UTF-8"});
  }
}

std::string key_of(const Task& task) {
  return task_key(task.stage, {{"parameters", task.parameters}, {"revision", task.revision}, {"compute", task.compute}},
                  task.inputs);
}

void check(const Plan& plan) {
  std::unordered_map<std::string, size_t> place;
  for (size_t i = 0; i < plan.tasks.size(); ++i) {
    const Task& task = plan.tasks[i];
    if (task.key.empty()) throw_bad_task(task, "has no key");
    if (!place.emplace(task.key, i).second) throw_bad_task(task, "is in the plan twice");
    check_estimates(task);
  }
  for (size_t i = 0; i < plan.tasks.size(); ++i)
    for (const std::string& input : plan.tasks[i].inputs) {
      const auto found = place.find(input);
      if (found == place.end()) throw_bad_task(plan.tasks[i], "needs a task that is not in the plan: " + input);
      if (found->second >= i)
        throw_bad_task(plan.tasks[i], "needs a task that comes later or is itself (a cycle?): " + input);
    }
}

Plan outline_of_unfinished(const Plan& plan, const std::vector<std::string>& finished) {
  const std::unordered_set<std::string> done(finished.begin(), finished.end());
  Plan rest;
  for (const Task& task : plan.tasks) {
    if (done.contains(task.key)) continue;
    Task& kept = rest.tasks.emplace_back();
    kept.key = task.key, kept.stage = task.stage, kept.name = task.name, kept.residency = task.residency;
    kept.seconds = task.seconds, kept.load_seconds = task.load_seconds, kept.resumable = task.resumable;
    kept.shares = task.shares, kept.tensor_parallel = task.tensor_parallel;
    kept.pipeline_parallel = task.pipeline_parallel;
    std::ranges::copy_if(task.inputs, std::back_inserter(kept.inputs),
                         [&](const std::string& input) { return !done.contains(input); });
  }
  return rest;
}

double seconds_on(const Task& task, int ranks) {
  const int groups = std::max(ranks / group_ranks(task), 1);
  const int rounds = (task.shares + groups - 1) / groups;
  return task.seconds / task.tensor_parallel * rounds / task.shares;
}

std::vector<double> critical_seconds(const Plan& plan, int ranks) {
  std::unordered_map<std::string, size_t> place;
  for (size_t i = 0; i < plan.tasks.size(); ++i) place.emplace(plan.tasks[i].key, i);
  const size_t n = plan.tasks.size();
  std::vector<double> after(n, 0), dependents(n, 0), critical(n, 0);
  for (size_t i = n; i-- > 0;) {
    critical[i] = seconds_on(plan.tasks[i], ranks) + std::max(after[i], dependents[i] / ranks);
    for (const std::string& input : plan.tasks[i].inputs) {
      const size_t needed = place.at(input);
      after[needed] = std::max(after[needed], critical[i]);
      dependents[needed] += rank_seconds(plan.tasks[i]);
    }
  }
  return critical;
}

double least_seconds(const Plan& plan, int ranks) {
  double work = 0, longest = 0;
  std::map<std::string, double> load;
  for (const Task& task : plan.tasks) {
    work += rank_seconds(task);
    if (!task.residency.empty())
      load[task.residency] = std::max(load[task.residency], task.load_seconds * group_ranks(task));
  }
  for (const auto& [residency, seconds] : load) work += seconds;
  for (const double path : critical_seconds(plan, ranks)) longest = std::max(longest, path);
  return std::max(work / ranks, longest);
}

}  // namespace cmc::distributed
