// Groups whose blocks hold the layers of a model in sequence: each block on one node, the blocks on any nodes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "pipeline/core/error.hpp"
#include "pipeline/core/random.hpp"
#include "pipeline/distributed/simulation.hpp"
#include "tests/distributed/plans.hpp"
#include "tests/distributed/random_losses.hpp"

namespace cmc::distributed {
namespace {
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Task group_task(const std::string& key, int blocks, int size, double seconds, double load = 1) {
  Task one = task(key, seconds, {}, "model of " + key, load);
  one.pipeline_parallel = blocks, one.tensor_parallel = size;
  return one;
}

TEST(PipelineGroup, TakesItsRanksForAsLongAsABlockAlone) {
  const Task one = group_task("a", 3, 2, 12);
  EXPECT_EQ(group_ranks(one), 6);
  EXPECT_DOUBLE_EQ(seconds_on(one, 6), 6);
  EXPECT_DOUBLE_EQ(rank_seconds(one), 36);
  EXPECT_DOUBLE_EQ(least_seconds({{one}}, 6), 6 + 1);
  const auto result = simulate({{one}}, {}, 6, {.rules = {.nodes = nodes_of(6, 2)}});
  EXPECT_DOUBLE_EQ(result.makespan, 1 + 6);
  EXPECT_DOUBLE_EQ(result.idle_share, 0);
}

TEST(PipelineGroup, HasNoSharesAndAtLeastOneBlock) {
  Plan plan{{group_task("a", 2, 1, 1)}};
  EXPECT_NO_THROW(check(plan));
  plan.tasks[0].shares = 2;
  EXPECT_THROW(check(plan), Internal);
  plan.tasks[0].shares = 1, plan.tasks[0].pipeline_parallel = 0;
  EXPECT_THROW(check(plan), Internal);
}

TEST(PipelineGroup, IsRefusedWhereNoNodesHoldItsBlocks) {
  const Plan plan{{group_task("large", 3, 2, 1)}};
  try {
    check_groups(plan, {}, {0, 0, 0, 1, 1, 1});
    FAIL() << "two nodes of three ranks hold two blocks of two ranks";
  } catch (const BadExperiment& error) {
    for (const char* word : {"task large", "3 blocks of 2 ranks", "hold 2", "has 3 ranks", "pipeline_parallel"})
      EXPECT_THAT(error.what(), HasSubstr(word));
  }
  EXPECT_NO_THROW(check_groups(plan, {"large"}, {0}));
  EXPECT_NO_THROW(check_groups(plan, {}, {0, 0, 0, 0, 1, 1}));
}

std::vector<int> first_ranks(const Plan& plan, const Nodes& nodes) {
  Dispatcher dispatcher(plan, {}, static_cast<int>(nodes.size()), {.nodes = nodes});
  const auto made = dispatcher.assign(0);
  return made.empty() ? std::vector<int>{} : made[0].ranks;
}

TEST(PipelineGroup, IsOnAsFewNodesAsPossibleBlockByBlock) {
  const Plan pair{{group_task("a", 2, 2, 1)}};
  EXPECT_THAT(first_ranks(pair, {0, 0, 1, 1, 1, 1}), ElementsAre(2, 3, 4, 5));
  EXPECT_THAT(first_ranks(pair, {0, 1, 0, 1, 1}), ElementsAre(0, 2, 1, 3)) << "a block of each node after the other";
  EXPECT_THAT(first_ranks({{group_task("a", 3, 2, 1)}}, {0, 0, 1, 1, 1, 1, 2, 2, 2}), ElementsAre(0, 1, 2, 3, 4, 5))
      << "the rest where it fits best";
  EXPECT_THAT(first_ranks(pair, {0, 0, 0, 1, 1, 1}), ElementsAre(0, 1, 3, 4));
}

TEST(PipelineGroup, RanksOfTwoNodesWaitForOthers) {
  Plan plan{{task("first", 1), task("long", 30)}};
  plan.tasks.push_back(group_task("a", 2, 1, 100));
  plan.tasks.back().inputs = {"first"};
  Dispatcher dispatcher(plan, {}, 2, {.nodes = {0, 1}});
  const auto started = dispatcher.assign(0);
  ASSERT_EQ(started.size(), 2u);
  dispatcher.report(1, started[0].id, started[0].ranks[0], {Result::done});
  EXPECT_THAT(dispatcher.assign(1), IsEmpty());
  dispatcher.report(30, started[1].id, started[1].ranks[0], {Result::done});
  const auto made = dispatcher.assign(30);
  ASSERT_EQ(made.size(), 1u);
  EXPECT_THAT(made[0].ranks, ElementsAre(0, 1));
}

// Its shares go to several groups.
Task shared_task(const std::string& key, int blocks, int size, int shares, double seconds) {
  Task one = task(key, seconds);
  one.pipeline_parallel = blocks, one.tensor_parallel = size, one.shares = shares;
  return one;
}

TEST(GroupsWithShares, WorkInRounds) {
  const Task one = shared_task("a", 2, 3, 4, 120);
  EXPECT_DOUBLE_EQ(rank_seconds(one), 240);
  for (const auto& [ranks, seconds] : std::map<int, double>{{1, 40}, {6, 40}, {11, 40}, {12, 20}, {18, 20}, {24, 10}})
    EXPECT_DOUBLE_EQ(seconds_on(one, ranks), seconds) << ranks << " ranks";
  EXPECT_DOUBLE_EQ(least_seconds({{one}}, 12), 20);
  EXPECT_DOUBLE_EQ(simulate({{one}}, {}, 18, {.rules = {.nodes = nodes_of(18, 9)}}).makespan, 20);
  EXPECT_THROW(simulate({{one}}, {}, 5), BadExperiment);
}

TEST(GroupsWithShares, LieOneAfterTheOtherBlockByBlock) {
  const Plan plan{{shared_task("a", 1, 2, 4, 100)}};
  EXPECT_THAT(first_ranks(plan, {0, 1, 0, 1, 1}), ElementsAre(0, 2, 1, 3));
  EXPECT_THAT(first_ranks({{shared_task("a", 2, 2, 2, 100)}}, {0, 1, 2, 1, 0, 2, 3, 3}),
              ElementsAre(0, 4, 1, 3, 2, 5, 6, 7));
  EXPECT_THAT(first_ranks(plan, nodes_of(6, 6)), ElementsAre(0, 1, 2, 3)) << "three groups need as many rounds as two";
}

TEST(GroupsWithShares, LeaveRanksToOtherTasksAndAreFreeAfterwards) {
  Plan plan{{shared_task("a", 1, 2, 4, 40), task("b", 19), task("c", 19)}};
  plan.tasks.push_back(task("d", 1, {"a"}));
  plan.tasks.push_back(task("e", 1, {"a"}));
  Dispatcher dispatcher(plan, {}, 4, {});
  const auto made = dispatcher.assign(0);
  ASSERT_EQ(made.size(), 3u);
  const auto shared = std::ranges::find(made, 0, &Assignment::task);
  ASSERT_NE(shared, made.end());
  EXPECT_EQ(shared->ranks.size(), 2u);
  EXPECT_EQ(shared->loads, 0);
  for (const int rank : shared->ranks) dispatcher.report(20, shared->id, rank, {Result::done});
  EXPECT_EQ(dispatcher.assign(20).size(), 2u);
}

TEST(GroupsWithShares, WaitALittleForMoreRanks) {
  Plan plan{{task("first", 10), task("second", 10.5), shared_task("a", 1, 2, 2, 400)}};
  plan.tasks[2].inputs = {"first"};
  Dispatcher dispatcher(plan, {}, 4, {});
  auto made = dispatcher.assign(0);
  ASSERT_EQ(made.size(), 2u);
  std::ranges::sort(made, {}, &Assignment::task);
  dispatcher.report(10, made[0].id, made[0].ranks[0], {Result::done});
  EXPECT_THAT(dispatcher.assign(10), IsEmpty()) << "the second group is soon complete";
  EXPECT_LT(dispatcher.wake_up(), never);
  dispatcher.report(10.5, made[1].id, made[1].ranks[0], {Result::done});
  made = dispatcher.assign(10.5);
  ASSERT_EQ(made.size(), 1u);
  EXPECT_EQ(made[0].ranks.size(), 4u);
}

Nodes random_nodes(Random& random, int ranks) {
  Nodes nodes;
  for (int node = 0; static_cast<int>(nodes.size()) < ranks; ++node)
    for (auto left = 1 + random.below(4); left > 0 && static_cast<int>(nodes.size()) < ranks; --left)
      nodes.push_back(node);
  if (random.below(2) == 0) std::ranges::sort(nodes, {}, [](int node) { return node % 2; });
  return nodes;
}

// Groups of every shape that the nodes hold, with shares and without, tasks with shares and tasks of one rank.
Plan random_plan(Random& random, const Nodes& nodes) {
  Plan plan;
  for (int i = 0; i < 30; ++i) {
    Task one = task("t" + std::to_string(i), 0.5 + 10 * random.uniform());
    const auto model = random.below(5);
    one.residency = "m" + std::to_string(model), one.load_seconds = random.below(2) ? 3 : 0.01;
    if (model < 2) one.pipeline_parallel = 2 + static_cast<int>(random.below(2));
    if (model < 3) one.tensor_parallel = 1 + static_cast<int>(random.below(3));
    if (model == 4 && random.below(2) == 0) one.tensor_parallel = 2, one.pipeline_parallel += random.below(3) == 0;
    if (find_without_room({{one}}, {}, nodes)) one.pipeline_parallel = one.tensor_parallel = 1;
    if (model == 4) one.residency.clear(), one.shares = 1 + static_cast<int>(random.below(5));
    if (i > 0 && random.below(2) == 0) one.inputs = {"t" + std::to_string(random.below(i))};
    plan.tasks.push_back(one);
  }
  return plan;
}

void expect_blocks_on_nodes(const Task& work, const Assignment& one, const Nodes& nodes) {
  EXPECT_EQ(one.tensor_group > 0, group_ranks(work) > 1);
  if (group_ranks(work) == 1) return;
  const int groups = static_cast<int>(one.ranks.size()) / group_ranks(work);
  ASSERT_EQ(static_cast<int>(one.ranks.size()), groups * group_ranks(work));
  EXPECT_TRUE(1 <= groups && groups <= work.shares) << groups << " groups";
  EXPECT_EQ(std::set<int>(one.ranks.begin(), one.ranks.end()).size(), one.ranks.size());
  for (size_t i = 0; i < one.ranks.size(); ++i)
    EXPECT_EQ(nodes[one.ranks[i]], nodes[one.ranks[i - i % work.tensor_parallel]]) << "a block on two nodes";
}

TEST(PipelineGroup, RandomPlansKeepEveryRule) {
  Random random(31);
  for (int round = 0; round < 2000; ++round) {
    const int ranks = 2 + static_cast<int>(random.below(12));
    const Nodes nodes = random_nodes(random, ranks);
    const Plan plan = random_plan(random, nodes);
    Random chance(round);
    std::map<int, double> busy_until;
    std::map<int, std::vector<int>> groups;
    SimulationSettings settings{.rules = {.nodes = nodes}};
    if (round % 2) settings.fails = [&](const Assignment&) { return chance.below(6) == 0; };
    settings.started = [&](double now, const Assignment& one) {
      for (const int rank : one.ranks) {
        EXPECT_LE(busy_until[rank], now + 1e-9);
        busy_until[rank] = now + one.seconds;
      }
      expect_blocks_on_nodes(plan.tasks[one.task], one, nodes);
      if (one.tensor_group == 0) return;
      EXPECT_EQ(groups.emplace(one.tensor_group, one.ranks).first->second, one.ranks);
    };
    const auto result = simulate(plan, {}, ranks, settings);
    EXPECT_EQ(result.outcome.done + result.outcome.failed.size() + result.outcome.not_run.size(), plan.tasks.size());
    if (!settings.fails) {
      ASSERT_EQ(result.outcome.done, 30);
      EXPECT_GE(result.makespan, result.least * (1 - 1e-9));
      EXPECT_GE(result.idle_share, -1e-9);
    }
  }
}

TEST(PipelineGroup, RandomLossesNeverHang) {
  Random random(37);
  for (int round = 0; round < 1000; ++round) {
    const int ranks = 3 + static_cast<int>(random.below(8));
    const Nodes nodes = random_nodes(random, ranks);
    const Plan plan = random_plan(random, nodes);
    Dispatcher dispatcher(plan, {}, ranks, {.attempts = 3, .nodes = nodes});
    SCOPED_TRACE("round " + std::to_string(round));
    expect_ends_despite_losses(plan, dispatcher, random, ranks, [&](const Assignment& made, const std::set<int>& lost) {
      expect_blocks_on_nodes(plan.tasks[made.task], made, nodes);
      for (const int rank : made.ranks) EXPECT_FALSE(lost.contains(rank));
    });
  }
}

}  // namespace
}  // namespace cmc::distributed
