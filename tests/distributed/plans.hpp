#pragma once
#include <string>
#include <utility>
#include <vector>

#include "pipeline/distributed/plan.hpp"

namespace cmc::distributed {

inline Task task(std::string key, double seconds = 1, std::vector<std::string> inputs = {}, std::string residency = "",
                 double load_seconds = 0) {
  Task made;
  made.stage = "test";
  made.name = "task " + key;
  made.key = std::move(key);
  made.inputs = std::move(inputs);
  made.residency = std::move(residency);
  made.seconds = seconds;
  made.load_seconds = load_seconds;
  return made;
}

// `count` tasks of `seconds` each that need model `residency`.
inline void add_bundle(Plan& plan, const std::string& residency, int count, double seconds, double load_seconds,
                       const std::vector<std::string>& inputs = {}) {
  for (int i = 0; i < count; ++i)
    plan.tasks.push_back(task(residency + "-" + std::to_string(i), seconds, inputs, residency, load_seconds));
}

}  // namespace cmc::distributed
