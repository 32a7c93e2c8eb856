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

double least_group_seconds(const Plan& plan, const Nodes& nodes) {
  std::map<int, int> ranks;
  for (const int node : nodes) ++ranks[node];
  std::set<int> sizes;
  for (const Task& task : plan.tasks) sizes.insert(task.tensor_parallel);
  double least = 0;
  for (const int size : sizes) {
    if (size == 1) continue;
    double work = 0;
    std::map<std::string, double> load;
    for (const Task& task : plan.tasks) {
      const int times = task.tensor_parallel / size;  // so many groups of this size are not there meanwhile
      work += times * seconds_on(task, task.tensor_parallel);
      if (!task.residency.empty()) load[task.residency] = std::max(load[task.residency], task.load_seconds * times);
    }
    for (const auto& [residency, seconds] : load) work += seconds;
    int groups = 0;
    for (const auto& [node, count] : ranks) groups += count / size;
    if (groups > 0) least = std::max(least, work / groups);
  }
  return least;
}

void check_tensor_groups(const Plan& plan, const std::vector<std::string>& finished, const Nodes& nodes) {
  const std::unordered_set<std::string> done(finished.begin(), finished.end());
  std::map<int, int> ranks;
  for (const int node : nodes) ++ranks[node];
  int most = 0;
  for (const auto& [node, count] : ranks) most = std::max(most, count);
  for (const Task& task : plan.tasks)
    if (task.tensor_parallel > most && !done.contains(task.key))
      throw BadExperiment({"task \"" + task.name + "\"",
                           "needs a group of " + std::to_string(task.tensor_parallel) +
                               " ranks on one node, the largest node has " + std::to_string(most),
                           "start more ranks on each node, or make the model's tensor_parallel smaller"});
}

}  // namespace cmc::distributed
