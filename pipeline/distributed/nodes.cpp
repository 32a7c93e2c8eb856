#include "pipeline/distributed/nodes.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <unordered_set>

#include "pipeline/core/error.hpp"

namespace cmc::distributed {

Nodes nodes_of(const std::vector<std::string>& hosts) {
  std::map<std::string, int> numbers;
  Nodes nodes;
  for (const std::string& host : hosts)
    nodes.push_back(numbers.emplace(host, static_cast<int>(numbers.size())).first->second);
  return nodes;
}

Nodes nodes_of(int ranks, int ranks_on_each) {
  Nodes nodes;
  for (int rank = 0; rank < ranks; ++rank) nodes.push_back(rank / ranks_on_each);
  return nodes;
}

namespace {

int blocks_on(const Nodes& nodes, int size) {
  std::map<int, int> ranks;
  for (const int node : nodes) ++ranks[node];
  int blocks = 0;
  for (const auto& [node, count] : ranks) blocks += count / size;
  return blocks;
}

}  // namespace

double least_group_seconds(const Plan& plan, const Nodes& nodes) {
  std::set<int> sizes;
  for (const Task& task : plan.tasks) sizes.insert(task.tensor_parallel);
  double least = 0;
  for (const int size : sizes) {
    if (size == 1) continue;
    double work = 0;
    std::map<std::string, double> load;
    for (const Task& task : plan.tasks) {
      const int times = task.pipeline_parallel * (task.tensor_parallel / size);  // blocks of this size that it takes
      work += times * seconds_on(task, task.tensor_parallel);
      if (!task.residency.empty()) load[task.residency] = std::max(load[task.residency], task.load_seconds * times);
    }
    for (const auto& [residency, seconds] : load) work += seconds;
    if (const int blocks = blocks_on(nodes, size); blocks > 0) least = std::max(least, work / blocks);
  }
  return least;
}

const Task* find_without_room(const Plan& plan, const std::vector<std::string>& finished, const Nodes& nodes) {
  const std::unordered_set<std::string> done(finished.begin(), finished.end());
  std::map<int, int> blocks;  // that the nodes hold, by their size
  for (const Task& task : plan.tasks)
    if (!blocks.contains(task.tensor_parallel)) blocks[task.tensor_parallel] = blocks_on(nodes, task.tensor_parallel);
  const Task* largest = nullptr;
  for (const Task& task : plan.tasks) {
    if (blocks.at(task.tensor_parallel) >= task.pipeline_parallel || done.contains(task.key)) continue;
    if (!largest || group_ranks(task) > group_ranks(*largest)) largest = &task;
  }
  return largest;
}

void check_groups(const Plan& plan, const std::vector<std::string>& finished, const Nodes& nodes) {
  const Task* task = find_without_room(plan, finished, nodes);
  if (!task) return;
  std::map<int, int> ranks;
  for (const int node : nodes) ++ranks[node];
  int most = 0;
  for (const auto& [node, count] : ranks) most = std::max(most, count);
  const std::string size = std::to_string(task->tensor_parallel);
  if (task->pipeline_parallel == 1)
    throw BadExperiment(
        {"task \"" + task->name + "\"",
         "needs a group of " + size + " ranks on one node, the largest node has " + std::to_string(most),
         "start more ranks on each node, or make the model's tensor_parallel smaller"});
  throw BadExperiment({"task \"" + task->name + "\"",
                       "needs " + std::to_string(task->pipeline_parallel) + " blocks of " + size +
                           " ranks, each on one node; the nodes hold " +
                           std::to_string(blocks_on(nodes, task->tensor_parallel)) + ", the largest has " +
                           std::to_string(most) + " ranks",
                       "start more ranks, or make the model's pipeline_parallel or tensor_parallel smaller"});
}

}  // namespace cmc::distributed
