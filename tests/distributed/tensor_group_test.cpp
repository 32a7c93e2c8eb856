// Groups of ranks that hold one model together (tensor parallel): on one node, loaded once, whole or not at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "pipeline/core/error.hpp"
#include "pipeline/core/random.hpp"
#include "pipeline/distributed/scheduler.hpp"
#include "pipeline/distributed/simulation.hpp"
#include "pipeline/distributed/thread_transport.hpp"
#include "tests/distributed/plans.hpp"
#include "tests/distributed/random_losses.hpp"

namespace cmc::distributed {
namespace {
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// `count` tasks of `seconds` on one rank each, for groups of `size` ranks.
void add_group_bundle(Plan& plan, const std::string& residency, int size, int count, double seconds, double load = 1) {
  const size_t before = plan.tasks.size();
  add_bundle(plan, residency, count, seconds, load);
  for (size_t i = before; i < plan.tasks.size(); ++i) plan.tasks[i].tensor_parallel = size;
}

TEST(Nodes, AreNumberedInTheOrderOfRanks) {
  EXPECT_THAT(nodes_of({"b", "b", "a", "b"}), ElementsAre(0, 0, 1, 0));
  EXPECT_THAT(nodes_of(5, 2), ElementsAre(0, 0, 1, 1, 2));
}

TEST(TensorParallelGroup, IsRefusedWhereNoNodeHoldsIt) {
  Plan plan;
  add_group_bundle(plan, "large", 4, 2, 1);
  try {
    check_groups(plan, {}, nodes_of(9, 3));
    FAIL() << "three ranks on a node hold no group of four";
  } catch (const BadExperiment& error) {
    for (const char* word : {"task large-0", "4 ranks", "has 3", "tensor_parallel"})
      EXPECT_THAT(error.what(), HasSubstr(word));
  }
  EXPECT_NO_THROW(check_groups(plan, {"large-0", "large-1"}, nodes_of(9, 3)));  // done before, elsewhere
  EXPECT_NO_THROW(check_groups(plan, {}, {0, 1, 1, 1, 1}));
  EXPECT_THROW(simulate(plan, {}, 3), BadExperiment);
}

TEST(TensorParallelGroup, HasNoSharesWhereItKeepsItsModel) {
  Plan plan;
  add_group_bundle(plan, "large", 2, 1, 1);
  EXPECT_NO_THROW(check(plan));
  plan.tasks[0].shares = 2;
  EXPECT_THROW(check(plan), Internal);
  plan.tasks[0].residency.clear();
  EXPECT_NO_THROW(check(plan));
  plan.tasks[0].shares = 1, plan.tasks[0].tensor_parallel = 0;
  EXPECT_THROW(check(plan), Internal);
}

TEST(TensorParallelGroup, KeepsItsRanksForTheWholeBundle) {
  Plan plan;
  add_group_bundle(plan, "large", 2, 3, 8, 5);
  Dispatcher dispatcher(plan, {}, 2, {});
  for (int i = 0; i < 3; ++i) {
    const auto made = dispatcher.assign(i);
    ASSERT_EQ(made.size(), 1u);
    EXPECT_THAT(made[0].ranks, ElementsAre(0, 1));
    EXPECT_EQ(made[0].tensor_group, 1);
    EXPECT_EQ(made[0].loads, i == 0 ? 1 : 0);
    EXPECT_DOUBLE_EQ(made[0].seconds, i == 0 ? 4 + 5 : 4);
    dispatcher.report(i, made[0].id, 0, {Result::done});
    EXPECT_THAT(dispatcher.assign(i), IsEmpty());  // the other half still works
    dispatcher.report(i, made[0].id, 1, {Result::done});
  }
  EXPECT_TRUE(dispatcher.complete());
}

TEST(TensorParallelGroup, NeverSpansNodes) {
  Plan plan{{task("long", 100)}};
  add_group_bundle(plan, "large", 2, 1, 1);
  Dispatcher dispatcher(plan, {}, 3, {.nodes = {0, 0, 1}});
  const auto made = dispatcher.assign(0);
  ASSERT_EQ(made.size(), 1u);  // the two free ranks are on different nodes
  EXPECT_EQ(made[0].task, 0);
}

// Two nodes of two ranks: "a" and "c" run on one, "b" and "first" on the other; "first" lets the group's task and
// "later" start.
struct TwoNodes {
  Plan plan{{task("first", 1), task("a", 90), task("b", 40), task("c", 50)}};
  std::map<std::string, Assignment> running = {};

  explicit TwoNodes(double seconds_of_group) {
    add_group_bundle(plan, "large", 2, 1, seconds_of_group);
    plan.tasks.back().inputs = {"first"};
    plan.tasks.push_back(task("later", 3, {"first"}));
  }
  std::vector<std::string> started(Dispatcher& dispatcher, double now) {
    std::vector<std::string> keys;
    for (const auto& one : dispatcher.assign(now)) {
      keys.push_back(plan.tasks[one.task].key);
      running[keys.back()] = one;
    }
    return keys;
  }
  std::vector<std::string> end(Dispatcher& dispatcher, double now, const std::string& key) {
    for (const int rank : running.at(key).ranks) dispatcher.report(now, running.at(key).id, rank, {Result::done});
    return started(dispatcher, now);
  }
};

TEST(TensorParallelGroup, RanksWaitOnTheNodeWhereItIsSoonestComplete) {
  TwoNodes job(2000);
  Dispatcher dispatcher(job.plan, {}, 4, {.nodes = {0, 1, 1, 0}});  // by critical path: first, a, c, b
  ASSERT_EQ(job.started(dispatcher, 0).size(), 4u);
  ASSERT_THAT(job.running.at("first").ranks, ElementsAre(0));
  ASSERT_THAT(job.running.at("b").ranks, ElementsAre(3));
  EXPECT_THAT(job.end(dispatcher, 1, "first"), IsEmpty());
  EXPECT_THAT(job.end(dispatcher, 40, "b"), ElementsAre("large-0"));
  EXPECT_THAT(job.running.at("large-0").ranks, ElementsAre(0, 3));
  EXPECT_THAT(job.end(dispatcher, 50, "c"), ElementsAre("later"));
}

TEST(TensorParallelGroup, RanksWaitLongOnlyWhenThereIsNothingElseToDo) {
  TwoNodes job(10);
  Dispatcher dispatcher(job.plan, {}, 4, {.nodes = {0, 0, 1, 1}});
  ASSERT_EQ(job.started(dispatcher, 0).size(), 4u);
  EXPECT_THAT(job.end(dispatcher, 1, "first"), ElementsAre("later"));
  EXPECT_THAT(job.end(dispatcher, 4, "later"), IsEmpty());
  EXPECT_THAT(job.end(dispatcher, 40, "b"), ElementsAre("large-0"));
}

TEST(TensorParallelGroup, SeveralShareABundleWhereThatSavesTime) {
  Plan plan;
  add_group_bundle(plan, "large", 4, 32, 40, 20);
  const auto result = simulate(plan, {}, 16, {.rules = {.nodes = nodes_of(16, 8)}});
  EXPECT_EQ(result.loads.at("large"), 4);
  EXPECT_DOUBLE_EQ(result.makespan, 20 + 8 * 10);
  EXPECT_DOUBLE_EQ(result.idle_share, 0);
  Plan dear;
  add_group_bundle(dear, "large", 4, 8, 40, 200);
  EXPECT_EQ(simulate(dear, {}, 16, {.rules = {.nodes = nodes_of(16, 8)}}).loads.at("large"), 1);
}

TEST(TensorParallelGroup, AFailureDissolvesIt) {
  Plan plan;
  add_group_bundle(plan, "large", 2, 1, 2);
  Dispatcher dispatcher(plan, {}, 4, {.nodes = {0, 0, 1, 1}});
  const auto made = dispatcher.assign(0);
  ASSERT_EQ(made.size(), 1u);
  const std::vector<int> first = made[0].ranks;
  EXPECT_THAT(dispatcher.report(1, made[0].id, first[0], {Result::failed, "x"}), ElementsAre(first[1]));
  dispatcher.report(1, made[0].id, first[1], {Result::failed, "x"});
  const auto again = dispatcher.assign(1);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_NE(again[0].tensor_group, made[0].tensor_group);
  EXPECT_EQ(again[0].loads, 1);
  EXPECT_NE(again[0].ranks[0] / 2, first[0] / 2);  // elsewhere
}

TEST(TensorParallelGroup, WithoutANodeForItTheRestIsDone) {
  Plan plan{{task("small", 1)}};
  add_group_bundle(plan, "large", 2, 2, 2);
  Dispatcher dispatcher(plan, {}, 2, {});
  const auto made = dispatcher.assign(0);
  ASSERT_EQ(made.size(), 1u);
  EXPECT_THAT(dispatcher.lost(1, 0), ElementsAre(1));
  dispatcher.report(1, made[0].id, 1, {Result::failed, "another rank gave up"});
  const auto rest = dispatcher.assign(2);
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_EQ(plan.tasks[rest[0].task].key, "small");
  dispatcher.report(3, rest[0].id, 1, {Result::done});
  EXPECT_THAT(dispatcher.assign(3), IsEmpty());
  EXPECT_TRUE(dispatcher.complete());
  EXPECT_EQ(dispatcher.outcome().done, 1);
  EXPECT_EQ(dispatcher.outcome().not_run.size(), 2u);
}

// Random plans in which every fourth residency is a group's: no rank has two tasks, no group spans nodes, all is done.
TEST(TensorParallelGroup, RandomPlansKeepEveryRule) {
  Random random(13);
  for (int round = 0; round < 2000; ++round) {
    const int nodes = 1 + static_cast<int>(random.below(3)), each = 2 + static_cast<int>(random.below(4));
    Plan plan;
    for (int i = 0; i < 40; ++i) {
      Task one = task("t" + std::to_string(i), 0.5 + 10 * random.uniform());
      const auto model = random.below(5);
      one.residency = "m" + std::to_string(model), one.load_seconds = 3;
      if (model < 2) one.tensor_parallel = model == 0 ? 2 : each;
      if (model == 4) one.residency.clear(), one.shares = 1 + static_cast<int>(random.below(4));
      if (i > 0 && random.below(2) == 0) one.inputs = {"t" + std::to_string(random.below(i))};
      plan.tasks.push_back(one);
    }
    Random chance(round);
    std::map<int, double> busy_until;
    std::map<int, std::vector<int>> groups;
    SimulationSettings settings;
    settings.rules.nodes = nodes_of(nodes * each, each);
    if (round % 2) settings.fails = [&](const Assignment&) { return chance.below(6) == 0; };
    settings.started = [&](double now, const Assignment& one) {
      const Task& work = plan.tasks[one.task];
      for (const int rank : one.ranks) {
        EXPECT_LE(busy_until[rank], now + 1e-9);
        busy_until[rank] = now + one.seconds;
        EXPECT_TRUE(work.tensor_parallel == 1 || rank / each == one.ranks[0] / each) << "a group on two nodes";
      }
      EXPECT_EQ(one.tensor_group > 0, work.tensor_parallel > 1);
      if (work.tensor_parallel == 1) return;
      EXPECT_EQ(static_cast<int>(one.ranks.size()), work.tensor_parallel);
      EXPECT_EQ(one.loads, groups.contains(one.tensor_group) ? 0 : 1);
      EXPECT_EQ(groups.emplace(one.tensor_group, one.ranks).first->second, one.ranks);
    };
    const auto result = simulate(plan, {}, nodes * each, settings);
    EXPECT_EQ(result.outcome.done + result.outcome.failed.size() + result.outcome.not_run.size(), plan.tasks.size());
    if (!settings.fails) {
      ASSERT_EQ(result.outcome.done, 40);
      EXPECT_GE(result.makespan, result.least - 1e-9);
    }
  }
}

Plan random_group_plan(Random& random, int each) {
  Plan plan;
  for (int i = 0; i < 30; ++i) {
    Task one = task("t" + std::to_string(i), 0.5 + 10 * random.uniform());
    const auto model = random.below(4);
    one.residency = "m" + std::to_string(model), one.load_seconds = random.below(2) ? 3 : 0.01;
    if (model == 0) one.tensor_parallel = each;
    if (model == 3) one.residency.clear(), one.shares = 1 + static_cast<int>(random.below(4));
    if (i > 0 && random.below(2) == 0) one.inputs = {"t" + std::to_string(random.below(i))};
    plan.tasks.push_back(one);
  }
  return plan;
}

// Ranks are lost and come back in the middle of it: all that can be done is done, and nothing waits for ever.
TEST(TensorParallelGroup, RandomLossesNeverHang) {
  Random random(29);
  for (int round = 0; round < 1000; ++round) {
    const int each = 2 + static_cast<int>(random.below(3)), ranks = 2 * each;
    const Plan plan = random_group_plan(random, each);
    Dispatcher dispatcher(plan, {}, ranks, {.attempts = 3, .nodes = nodes_of(ranks, each)});
    SCOPED_TRACE("round " + std::to_string(round));
    expect_ends_despite_losses(plan, dispatcher, random, ranks, {});
  }
}

TEST(TensorParallelGroup, TasksOfABundleGetTheSameCommunicator) {
  Plan plan;
  add_group_bundle(plan, "large", 2, 6, 1);
  plan.tasks.push_back(task("small", 0.1));
  const auto ranks = thread_ranks(2);
  std::mutex mutex;
  std::map<int, std::set<Transport*>> seen;  // by rank
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 2; ++rank)
    threads.emplace_back([&, rank] {
      const RunTask run = [&, rank](const Task& one, const Communicator& group) {
        EXPECT_EQ(group.size(), one.tensor_parallel);
        if (one.tensor_parallel == 1) return;
        EXPECT_EQ(group.all_gather(std::to_string(rank)), (std::vector<std::string>{"0", "1"}));
        const std::lock_guard lock(mutex);
        seen[rank].insert(group.transport());
      };
      EXPECT_EQ(run_plan(plan, {}, ranks[rank], run, {}).done, 7);
    });
  for (auto& thread : threads) thread.join();
  for (const auto& [rank, transports] : seen) EXPECT_EQ(transports.size(), 1u);
  EXPECT_EQ(seen.size(), 2u);
}

}  // namespace
}  // namespace cmc::distributed
