#pragma once
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "pipeline/core/json.hpp"

namespace cmc::distributed {

constexpr double never = std::numeric_limits<double>::infinity();  // a time (s) that does not come
constexpr int none = -1;                                           // no task, rank, node or residency

// One piece of work. Pure data: knows nothing of MPI, models or files.
struct Task {
  std::string key;                  // key_of()
  std::string stage;                // which stage runs it
  std::string name;                 // for people: "instruct gemma cmc alpha 1 prompts 0-31"
  Json parameters;                  // resolved; a task can be run from this alone
  std::vector<std::string> inputs;  // keys of the tasks it needs
  int revision = 1;                 // of the stage: raised where the same parameters come to give other results
  std::string compute;      // device and type of numbers that its models run in, "cpu float32"; "": it runs none
  uint64_t seed = 0;        // of its random numbers; follows from what is asked, not from how it is computed
  std::string residency;    // what a worker keeps loaded between tasks ("" none): the target model
  double seconds = 1;       // estimated work on one rank, without loading the residency
  double load_seconds = 0;  // estimated time to load the residency on a rank that does not hold it
  int64_t bytes = 0;        // estimated peak memory
  int shares = 1;           // how many ranks, or groups, can work on it together (data parallel)
  // The ranks that hold its model together, a group: blocks that hold its layers in sequence, each of ranks of one node
  // that split every layer; the blocks may be on several nodes. Only a task without residency has shares, too: as many
  // groups as there are shares can work on it. One that keeps its model loaded would have to leave it for that.
  int pipeline_parallel = 1;  // blocks
  int tensor_parallel = 1;    // ranks of a block
  bool resumable = false;     // goes on from its checkpoint: started even when less time is left than it needs
  bool taken_over = false;    // set for the run: a rank that does not answer has it, too
};

// A DAG of tasks, in an order in which inputs come first.
struct Plan {
  std::vector<Task> tasks;
};

// SHA-256 of stage, parameters and input keys in canonical JSON. Throws Internal when the parameters hold a number
// that JSON cannot write (NaN, infinity) or text that is not UTF-8: two such tasks would share a key.
std::string task_key(const std::string& stage, const Json& parameters, const std::vector<std::string>& inputs);

// What a task's result is filed under: task_key with the revision and the compute beside.
std::string key_of(const Task& task);

// Throws Internal on an empty or duplicate key, an input that is unknown or does not come first (so also on a cycle),
// and on figures that are no estimate (negative or not finite seconds, fewer than one share, block or rank, shares of a
// group that keeps its model).
void check(const Plan& plan);

// The tasks that are not in `finished`, without those as inputs: what estimates need. The tasks' parameters, which may
// be large, are left out.
Plan outline_of_unfinished(const Plan& plan, const std::vector<std::string>& finished);

// Ranks of each group that holds the task's model; 1: it needs none.
inline int group_ranks(const Task& task) {
  return task.pipeline_parallel * task.tensor_parallel;
}

// Seconds of `task` on `ranks` ranks, or as many groups as they make, at least one: its shares are worked through in
// rounds, so 4 shares take 3 ranks two rounds. The ranks of a group's block divide the work evenly; blocks work one
// after the other, so more of them are no faster.
double seconds_on(const Task& task, int ranks);

// Seconds of ranks that the task takes: all ranks of a group are taken for as long as it lasts.
inline double rank_seconds(const Task& task) {
  return task.seconds * task.pipeline_parallel;
}

// For each task, seconds that must pass from its start to the end of the plan on `ranks` ranks, whatever the order:
// itself, then the longest of its dependents' paths or, if larger, the dependents' work spread over all ranks.
std::vector<double> critical_seconds(const Plan& plan, int ranks);

// No schedule of the plan is shorter: the longest path, or all work and one load of each residency (by every
// rank of a group) over all ranks.
double least_seconds(const Plan& plan, int ranks);

}  // namespace cmc::distributed
