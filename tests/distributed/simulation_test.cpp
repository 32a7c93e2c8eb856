#include "pipeline/distributed/simulation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "pipeline/core/random.hpp"
#include "tests/distributed/plans.hpp"

namespace cmc::distributed {
namespace {
using testing::IsEmpty;

TEST(Simulation, OneRankTakesTheSumOfAll) {
  const Plan plan{{task("a", 3), task("b", 4, {"a"}), task("c", 5)}};
  const auto result = simulate(plan, {}, 1);
  EXPECT_DOUBLE_EQ(result.makespan, 12);
  EXPECT_DOUBLE_EQ(result.least, 12);
  EXPECT_DOUBLE_EQ(result.idle_share, 0);
  EXPECT_EQ(result.outcome.done, 3);
}

TEST(Simulation, EqualTasksNeedCeilOfTasksOverRanksRounds) {
  for (const int ranks : {1, 2, 3, 4, 7, 100}) {
    Plan plan;
    for (int i = 0; i < 24; ++i) plan.tasks.push_back(task(std::to_string(i), 2));
    EXPECT_DOUBLE_EQ(simulate(plan, {}, ranks).makespan, 2 * ((24 + ranks - 1) / ranks)) << ranks;
  }
}

TEST(Simulation, EachModelIsLoadedOnceWhereRanksAreNoMoreThanModels) {
  for (const int ranks : {1, 2, 4}) {
    Plan plan;
    for (const char* model : {"a", "b", "c", "d"}) add_bundle(plan, model, 20, 1, 30);
    const auto result = simulate(plan, {}, ranks);
    for (const auto& [model, loads] : result.loads) EXPECT_EQ(loads, 1) << model;
    EXPECT_DOUBLE_EQ(result.makespan, 4 * (20 + 30) / ranks);
    EXPECT_DOUBLE_EQ(result.makespan, result.least);
  }
}

TEST(Simulation, ALongBundleIsSharedWhereRanksAreMore) {
  Plan plan;
  add_bundle(plan, "a", 100, 1, 10);
  add_bundle(plan, "b", 10, 1, 10);
  const auto result = simulate(plan, {}, 4);
  EXPECT_EQ(result.loads.at("b"), 1);
  EXPECT_EQ(result.loads.at("a"), 4);  // the rank of b joins in
  EXPECT_LE(result.makespan, 10 + 100 / 3.0 + 1);
}

// Training sits on the critical path: it takes as many ranks as keep it from deciding the end, and the rest goes on.
TEST(Simulation, TrainingTakesItsShareOfTheRanks) {
  Plan plan{{task("train", 100)}};
  plan.tasks[0].shares = 4;
  for (int i = 0; i < 100; ++i) plan.tasks.push_back(task("dependent" + std::to_string(i), 1, {"train"}));
  for (int i = 0; i < 100; ++i) plan.tasks.push_back(task("other" + std::to_string(i), 1));
  const auto result = simulate(plan, {}, 4);
  EXPECT_DOUBLE_EQ(result.makespan, 75);  // = all work / ranks
}

TEST(Simulation, ARetryCostsOneMoreRun) {
  const Plan plan{{task("a", 3), task("b", 5, {"a"})}};
  SimulationSettings settings;
  settings.fails = [](const Assignment& one) { return one.id == 1; };
  EXPECT_DOUBLE_EQ(simulate(plan, {}, 2, settings).makespan, 3 + 3 + 5);
  settings.fails = [](const Assignment& one) { return one.task == 0; };
  const auto failed = simulate(plan, {}, 2, settings);
  EXPECT_EQ(failed.outcome.failed.size(), 1u);
  EXPECT_EQ(failed.outcome.not_run.size(), 1u);
}

TEST(Simulation, StopsBeforeTheTimeLimit) {
  Plan plan;
  for (int i = 0; i < 10; ++i) plan.tasks.push_back(task(std::to_string(i), 3));
  SimulationSettings settings;
  settings.seconds_left = 10;
  const auto result = simulate(plan, {}, 2, settings);
  EXPECT_EQ(result.outcome.done, 6);
  EXPECT_TRUE(result.outcome.stopped);
  EXPECT_LE(result.makespan, 10);
}

// A random experiment: models with loads, trainings with shares, evaluations that need them, some tasks that fail.
Plan random_plan(Random& random, int tasks) {
  Plan plan;
  for (int i = 0; i < tasks; ++i) {
    Task one = task("t" + std::to_string(i), 0.5 + 10 * random.uniform());
    if (random.below(3) > 0) one.residency = "m" + std::to_string(random.below(5)), one.load_seconds = 4;
    if (random.below(8) == 0) one.shares = 1 + static_cast<int>(random.below(6));
    for (int inputs = static_cast<int>(random.below(3)); i > 0 && inputs > 0; --inputs) {
      const std::string input = "t" + std::to_string(random.below(i));
      if (std::ranges::find(one.inputs, input) == one.inputs.end()) one.inputs.push_back(input);
    }
    plan.tasks.push_back(one);
  }
  return plan;
}

struct Looker {  // holds each start against the rules
  const Plan& plan;
  std::map<int, double> busy_until = {};
  std::map<std::string, double> ended = {};
  std::map<std::string, int> runs = {};

  void see(double now, const Assignment& one) {
    const Task& task = plan.tasks[one.task];
    ++runs[task.key];
    EXPECT_GE(one.ranks.size(), 1u);
    EXPECT_LE(static_cast<int>(one.ranks.size()), task.shares);
    for (const int rank : one.ranks) {
      EXPECT_LE(busy_until[rank], now + 1e-9) << "rank " << rank << " has two tasks at once";
      busy_until[rank] = now + one.seconds;
    }
    for (const std::string& input : task.inputs) {
      ASSERT_TRUE(ended.contains(input)) << task.key << " before its input " << input;
      EXPECT_LE(ended[input], now + 1e-9);
    }
    ended[task.key] = now + one.seconds;
  }
};

TEST(Simulation, RandomPlansKeepEveryRule) {
  Random random(7);
  for (int round = 0; round < 2000; ++round) {
    const int ranks = 1 + static_cast<int>(random.below(9));
    const Plan plan = random_plan(random, 1 + static_cast<int>(random.below(60)));
    Looker looker{plan};
    SimulationSettings settings;
    settings.started = [&](double now, const Assignment& one) { looker.see(now, one); };
    const auto result = simulate(plan, {}, ranks, settings);
    ASSERT_EQ(result.outcome.done, static_cast<int>(plan.tasks.size()));
    EXPECT_THAT(result.outcome.not_run, IsEmpty());
    for (const auto& [key, runs] : looker.runs) EXPECT_EQ(runs, 1) << key;
    EXPECT_GE(result.makespan, result.least - 1e-9);
    EXPECT_GE(result.idle_share, -1e-9);
  }
}

TEST(Simulation, RandomFailuresNeverHangAndEachTaskIsAccountedFor) {
  Random random(11);
  for (int round = 0; round < 2000; ++round) {
    const int ranks = 1 + static_cast<int>(random.below(6));
    const Plan plan = random_plan(random, 40);
    Random chance(round);
    std::map<int, int> runs;
    SimulationSettings settings;
    settings.started = [&](double, const Assignment& one) { ++runs[one.task]; };
    settings.fails = [&](const Assignment&) { return chance.below(4) == 0; };
    const auto result = simulate(plan, {}, ranks, settings);
    EXPECT_EQ(result.outcome.done + result.outcome.failed.size() + result.outcome.not_run.size(), plan.tasks.size());
    for (const auto& [task, times] : runs) EXPECT_LE(times, 2);
    EXPECT_FALSE(result.outcome.stopped);
  }
}

// List scheduling of independent tasks is within 2 - 1/m of the best (Graham 1966); longest first within 4/3 (1969).
TEST(Simulation, LongestFirstKeepsGrahamsBound) {
  Random random(3);
  for (int round = 0; round < 100; ++round) {
    Plan plan;
    for (int i = 0; i < 50; ++i) plan.tasks.push_back(task(std::to_string(i), 0.1 + random.uniform() * 10));
    const int ranks = 2 + static_cast<int>(random.below(8));
    const auto result = simulate(plan, {}, ranks);
    EXPECT_LE(result.makespan, result.least * (4 / 3.0) + 1e-9);
  }
}

TEST(Simulation, FourThousandRanks) {
  Random random(5);
  Plan plan;
  for (int delta = 0; delta < 40; ++delta) {
    plan.tasks.push_back(task("delta" + std::to_string(delta), 3600));
    plan.tasks.back().shares = 16;
  }
  for (int model = 0; model < 50; ++model)
    for (int i = 0; i < 1000; ++i)
      plan.tasks.push_back(task("m" + std::to_string(model) + "-" + std::to_string(i), 30 + 60 * random.uniform(),
                                {"delta" + std::to_string(i % 40)}, "m" + std::to_string(model), 20));
  const auto result = simulate(plan, {}, 4096);
  EXPECT_EQ(result.outcome.done, 50040);
  EXPECT_LE(result.makespan, 1.5 * result.least);
}

// The shape of the paper's plan in seconds on a GPU: deltas are trained beside the template, adapters of each target on
// many ranks, every target is measured with every delta and its own adapter, and a judge reads all that they said.
struct PaperLike {
  int tensor_parallel = 4;      // of the largest target
  bool split_training = false;  // its adapters are trained by a tensor-parallel group, and others are compared by such
  int shares = 64;              // of the training of adapters
};

Plan paper_like_plan(const PaperLike& like) {
  struct Target {
    const char* name;
    double adapt, each;
    int tensor_parallel;
  };
  Plan plan;
  const auto add = [&](Task one, int shares, int tensor_parallel) {
    one.shares = shares, one.tensor_parallel = tensor_parallel;
    plan.tasks.push_back(std::move(one));
    return plan.tasks.back().key;
  };
  std::vector<std::string> deltas;
  for (int i = 0; i < 7; ++i) deltas.push_back(add(task("delta" + std::to_string(i), 3800, {}, "7b", 55), 16, 1));
  for (const Target& target : {Target{"7b", 31000, 28, 1},
                               {"13b", 61000, 53, 1},
                               {"70b", 320000, 275, like.tensor_parallel},
                               {"other", 34000, 25, 1}}) {
    const std::string name = target.name;
    const bool split = like.split_training && target.tensor_parallel > 1;
    const Task training = task("adapt " + name, target.adapt, {}, split ? "adapting " + name : "", split ? 100 : 0);
    const std::string adapters = add(training, split ? 1 : like.shares, split ? target.tensor_parallel : 1);
    if (split)
      for (int i = 0; i < 6; ++i) add(task("similarity" + std::to_string(i), 1000), 1, target.tensor_parallel);
    for (int i = 0; i < 260; ++i) {
      const auto inputs = i < 26 ? std::vector<std::string>{} : std::vector{deltas[i % 7]};
      const std::string key =
          add(task(name + std::to_string(i), target.each, inputs, name, 100), 1, target.tensor_parallel);
      if (i % 2 == 0) add(task("judge " + key, 75, {key}, "judge", 59), 1, 1);
    }
    for (int i = 0; i < 26; ++i)
      add(task("adapted " + name + std::to_string(i), target.each, {adapters}, "adapted " + name, 100), 1,
          target.tensor_parallel);
  }
  return plan;
}

SimulationResult simulate_on_nodes_of_8(const Plan& plan, int ranks) {
  return simulate(plan, {}, ranks, {.rules = {.nodes = nodes_of(ranks, 8)}});
}

TEST(Simulation, ThePapersPlanKeepsRanksBusyAndSeldomLoadsAModelAgain) {
  for (int ranks = 1; ranks <= 64; ++ranks) {
    const Plan plan = paper_like_plan({.tensor_parallel = ranks < 4 ? 1 : 4, .shares = ranks % 3 ? 64 : 32});
    const auto result = simulate_on_nodes_of_8(plan, ranks);
    EXPECT_LE(result.reloads, ranks < 4 ? 0 : 2 * ranks) << ranks;
    EXPECT_LE(result.idle_share, 0.05) << ranks;
    EXPECT_LE(result.makespan, 1.1 * result.least) << ranks;
  }
}

// Where the largest training is no longer shared, it alone decides the end of many ranks.
TEST(Simulation, TrainingsOfASplitModelKeepRanksBusyOrEndAsSoonAsTheyCan) {
  const Plan plan = paper_like_plan({.split_training = true});
  for (int ranks = 4; ranks <= 64; ++ranks) {
    const auto result = simulate_on_nodes_of_8(plan, ranks);
    EXPECT_TRUE(result.idle_share <= 0.05 || result.makespan <= 1.05 * result.least)
        << ranks << " ranks, idle " << result.idle_share << ", " << result.makespan << " of " << result.least;
  }
}

// Four ranks hold one of two large models, three of the same node have nothing to do with the other: taking a rank from
// the group would load both anew with every task.
TEST(Simulation, RanksThatWaitForAGroupTakeNoneOfAnother) {
  Plan plan;
  for (const char* model : {"a", "b"}) add_bundle(plan, model, 20, 100, 140);
  for (Task& one : plan.tasks) one.tensor_parallel = 4;
  const auto result = simulate_on_nodes_of_8(plan, 7);
  EXPECT_THAT(result.loads, testing::ElementsAre(std::pair("a", 1), std::pair("b", 1)));
}

TEST(Simulation, NoApproachIsBetterThanTheOneThatIsFound) {
  const Plan plan = paper_like_plan({});
  for (const int ranks : {31, 36}) {
    SimulationSettings settings{.rules = {.nodes = nodes_of(ranks, 8)}};
    const double found = simulate(plan, {}, ranks, settings).makespan;
    for (const bool long_first : {false, true})
      for (const double outlast : {1.0, 1.1, 1.4, 4.0}) {
        settings.rules.approach = Approach{outlast, long_first};
        EXPECT_LE(found, 1.01 * simulate(plan, {}, ranks, settings).makespan);
      }
  }
}

TEST(Simulation, OneRankWaitsWithAModelUntilAllItsTasksCanRun) {
  Plan plan{{task("trained", 5, {}, "template", 3)}};
  add_bundle(plan, "large", 10, 4, 30);
  add_bundle(plan, "large needs it", 1, 1, 0, {"trained"});
  plan.tasks.back().residency = "large", plan.tasks.back().load_seconds = 30;
  const auto result = simulate(plan, {}, 1);
  EXPECT_EQ(result.loads.at("large"), 1);
  EXPECT_DOUBLE_EQ(result.makespan, 5 + 3 + 41 + 30);
}

// A sweep of a thousand deltas over four targets, one of which needs groups of four ranks: a hundred thousand tasks.
TEST(Simulation, AThousandFoldSweepOnFourThousandRanks) {
  Random random(17);
  Plan plan;
  for (int delta = 0; delta < 1000; ++delta) {
    plan.tasks.push_back(task("delta" + std::to_string(delta), 2000, {}, "template", 20));
    plan.tasks.back().shares = 16;
  }
  const double seconds_of[] = {60, 100, 60, 500};
  for (int delta = 0; delta < 1000; ++delta)
    for (int target = 0; target < 4; ++target)
      for (int i = 0; i < 25; ++i) {
        const std::string name = "m" + std::to_string(target);
        plan.tasks.push_back(task(name + "-" + std::to_string(delta) + "-" + std::to_string(i),
                                  seconds_of[target] * (0.8 + 0.4 * random.uniform()),
                                  {"delta" + std::to_string(delta)}, name, 20));
        if (target == 3) plan.tasks.back().tensor_parallel = 4;
      }
  SimulationSettings settings;
  settings.rules.nodes = nodes_of(4096, 8);
  const auto result = simulate(plan, {}, 4096, settings);
  EXPECT_EQ(result.outcome.done, 101000);
  EXPECT_LE(result.idle_share, 0.05);
  EXPECT_LE(result.makespan, 1.1 * result.least);
}

}  // namespace
}  // namespace cmc::distributed
