#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/core/json.hpp"

namespace cmc::dist {

// One piece of work. Pure data: knows nothing of MPI, models or files.
struct Task {
  std::string key;                  // SHA-256 over stage, parameters, inputs and content identities
  std::string stage;                // which stage runs it
  std::string name;                 // for people: "instruct gemma cmc alpha 1 prompts 0-31"
  Json parameters;                  // resolved; a task can be run from this alone
  std::vector<std::string> inputs;  // keys of the tasks it needs
  std::string residency;            // what a worker keeps loaded between tasks ("" none): the target model
  double seconds = 1;               // estimated work on one rank
  int64_t bytes = 0;                // estimated peak memory
  int shares = 1;                   // how many ranks can work on it together (data parallel)
};

// A DAG of tasks, in an order in which inputs come first.
struct Plan {
  std::vector<Task> tasks;
};

// SHA-256 of stage, parameters and input keys in canonical JSON.
std::string task_key(const std::string& stage, const Json& parameters, const std::vector<std::string>& inputs);

// Throws Internal on a duplicate key, an unknown input, or a cycle.
void check(const Plan& plan);

}  // namespace cmc::dist
