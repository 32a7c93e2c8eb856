#include "pipeline/distributed/scheduler.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "pipeline/distributed/thread_transport.hpp"
#include "tests/distributed/plans.hpp"

namespace cmc::distributed {
namespace {
using testing::Contains;
using testing::ElementsAre;
using testing::Not;
using testing::UnorderedElementsAre;

struct Seen {  // what ran, over all ranks
  std::mutex mutex;
  std::map<std::string, std::vector<int>> ranks_of;  // by key, one entry per call
};

// run_plan on `size` ranks that are threads; every rank must end with the same outcome.
Outcome run_on(int size, const Plan& plan, const std::function<void(int, const Task&, const Communicator&)>& work,
               SchedulerSettings settings = {}, Seen* seen = nullptr) {
  settings.poll_seconds = 0.001;
  const auto ranks = thread_ranks(size);
  std::vector<Outcome> outcomes(size);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank)
    threads.emplace_back([&, rank] {
      const RunTask run = [&, rank](const Task& task, const Communicator& group) {
        if (seen) {
          const std::lock_guard lock(seen->mutex);
          seen->ranks_of[task.key].push_back(rank);
        }
        work(rank, task, group);
      };
      outcomes[rank] = run_plan(plan, {}, ranks[rank], run, settings);
    });
  for (auto& thread : threads) thread.join();
  for (const Outcome& other : outcomes) {
    EXPECT_EQ(other.done, outcomes[0].done);
    EXPECT_EQ(other.not_run, outcomes[0].not_run);
    EXPECT_EQ(other.stopped, outcomes[0].stopped);
    EXPECT_EQ(other.failed.size(), outcomes[0].failed.size());
  }
  return outcomes[0];
}

const auto nothing = [](int, const Task&, const Communicator&) {};

TEST(RunPlan, EachTaskOnce) {
  for (const int size : {1, 2, 4}) {
    Plan plan;
    add_bundle(plan, "a", 20, 0.001, 0);
    add_bundle(plan, "b", 20, 0.001, 0, {"a-3"});
    Seen seen;
    const Outcome outcome = run_on(size, plan, nothing, {}, &seen);
    EXPECT_EQ(outcome.done, 40);
    EXPECT_EQ(seen.ranks_of.size(), 40u);
    for (const auto& [key, ranks] : seen.ranks_of) EXPECT_EQ(ranks.size(), 1u) << key;
  }
}

TEST(RunPlan, AnEmptyPlanIsDone) {
  EXPECT_EQ(run_on(3, {}, nothing).done, 0);
}

TEST(RunPlan, FailuresAreTriedElsewhereAndNamed) {
  const Plan plan{{task("bad"), task("after", 1, {"bad"}), task("good")}};
  for (const int size : {1, 3}) {
    Seen seen;
    const auto work = [](int, const Task& one, const Communicator&) {
      if (one.key == "bad") throw std::runtime_error("it is \xff bad");
    };
    const Outcome outcome = run_on(size, plan, work, {}, &seen);
    ASSERT_EQ(outcome.failed.size(), 1u);
    EXPECT_THAT(outcome.failed[0].message, testing::StartsWith("it is "));
    EXPECT_THAT(outcome.not_run, ElementsAre("after"));
    EXPECT_EQ(outcome.done, 1);
    const auto& tried = seen.ranks_of.at("bad");
    ASSERT_EQ(tried.size(), 2u);
    EXPECT_EQ(tried[0] != tried[1], size > 1);
  }
}

TEST(RunPlan, ASecondAttemptThatSucceedsIsNoFailure) {
  std::atomic<int> calls = 0;
  const auto work = [&](int, const Task&, const Communicator&) {
    if (calls++ == 0) throw 1;  // not even an exception
  };
  const Outcome outcome = run_on(2, {{task("a")}}, work);
  EXPECT_EQ(outcome.done, 1);
  EXPECT_TRUE(outcome.failed.empty());
}

TEST(RunPlan, GroupsWorkTogether) {
  Plan plan{{task("a"), task("b", 1, {"a"})}};
  plan.tasks[0].shares = plan.tasks[1].shares = 4;
  for (const int size : {1, 2, 3, 4, 5}) {
    Seen seen;
    const auto work = [&](int, const Task& one, const Communicator& group) {
      const auto [first, last] = shares_of(group.rank(), group.size(), one.shares);
      std::vector<std::vector<float>> shares;
      for (int s = first; s < last; ++s) shares.push_back({1.0f + s, 0.1f * s});
      const std::vector<std::span<const float>> mine(shares.begin(), shares.end());
      std::vector<float> sum(2);
      group.ordered_sum(mine, sum);
      EXPECT_EQ(sum[0], 10.0f);
    };
    EXPECT_EQ(run_on(size, plan, work, {}, &seen).done, 2);
    const size_t expected = size >= 4 ? 4 : size == 1 ? 1 : 2;
    EXPECT_EQ(seen.ranks_of.at("a").size(), expected) << size;
  }
}

TEST(RunPlan, AFailureInAGroupReleasesTheOthers) {
  Plan plan{{task("train"), task("other")}};
  plan.tasks[0].shares = 3;
  const auto work = [&](int, const Task& one, const Communicator& group) {
    if (one.key != "train") return;
    if (group.rank() == group.size() - 1) throw std::runtime_error("share lost");
    group.barrier();
  };
  const Outcome outcome = run_on(3, plan, work);
  ASSERT_EQ(outcome.failed.size(), 1u);
  EXPECT_EQ(outcome.failed[0].message, "share lost");
  EXPECT_EQ(outcome.done, 1);
}

TEST(RunPlan, StoppedTasksStopTheRun) {
  Plan plan;
  for (int i = 0; i < 50; ++i) plan.tasks.push_back(task(std::to_string(i)));
  const auto work = [](int, const Task& one, const Communicator&) {
    if (one.key == "1") throw Stopped({"train", "stopped at step 3", ""});
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  };
  const Outcome outcome = run_on(2, plan, work);
  EXPECT_TRUE(outcome.stopped);
  EXPECT_THAT(outcome.not_run, Contains("1"));
  EXPECT_TRUE(outcome.failed.empty());
  EXPECT_EQ(outcome.done + outcome.not_run.size(), 50u);
  EXPECT_GT(outcome.not_run.size(), 10u);
}

TEST(RunPlan, ARequestToStopLetsRunningTasksEnd) {
  Plan plan;
  for (int i = 0; i < 50; ++i) plan.tasks.push_back(task(std::to_string(i)));
  std::atomic<bool> asked = false;
  SchedulerSettings settings;
  settings.stop = [&] { return asked.load(); };
  const auto work = [&](int, const Task&, const Communicator&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    asked = true;
  };
  const Outcome outcome = run_on(3, plan, work, settings);
  EXPECT_TRUE(outcome.stopped);
  EXPECT_GE(outcome.done, 3);
  EXPECT_EQ(outcome.done + outcome.not_run.size(), 50u);
}

TEST(RunPlan, ProgressCountsUpAndNamesWhatRuns) {
  Plan plan;
  for (int i = 0; i < 6; ++i) plan.tasks.push_back(task(std::to_string(i), 2));
  std::vector<Progress> told;
  SchedulerSettings settings;
  settings.progress = [&](const Progress& progress) { told.push_back(progress); };
  run_on(
      2, plan, [](int, const Task&, const Communicator&) { std::this_thread::sleep_for(std::chrono::milliseconds(2)); },
      settings);
  ASSERT_GE(told.size(), 2u);
  for (size_t i = 1; i < told.size(); ++i) EXPECT_GE(told[i].done, told[i - 1].done);
  EXPECT_THAT(told[0].current, testing::SizeIs(2));
  EXPECT_THAT(told[0].current, Contains(testing::StartsWith("task ")));
  EXPECT_EQ(told.back().done, 6);
  EXPECT_DOUBLE_EQ(told.back().work_done, 12);
  EXPECT_DOUBLE_EQ(told.back().seconds_left, 0);
  EXPECT_THAT(told.back().current, Each(testing::IsEmpty()));
}

TEST(RunPlan, ATaskThatTakesTooLongIsNamed) {
  std::vector<std::string> named;
  SchedulerSettings settings;
  settings.stall_seconds = 0.05;
  settings.progress = [&](const Progress& progress) {
    named.insert(named.end(), progress.stalled.begin(), progress.stalled.end());
  };
  run_on(
      1, {{task("stuck", 0.001)}},
      [](int, const Task&, const Communicator&) { std::this_thread::sleep_for(std::chrono::milliseconds(200)); },
      settings);
  EXPECT_THAT(named, Contains(testing::HasSubstr("rank 0 is slow with task stuck")));
}

TEST(RunPlan, PlansThatDifferAreRefusedOnEveryRank) {
  const auto ranks = thread_ranks(2);
  const Plan plans[] = {{{task("a")}}, {{task("b")}}};
  const RunTask run = [](const Task&, const Communicator&) { FAIL() << "ran"; };
  std::jthread other([&] { EXPECT_THROW(run_plan(plans[1], {}, ranks[1], run, {}), Internal); });
  EXPECT_THROW(run_plan(plans[0], {}, ranks[0], run, {}), Internal);
}

}  // namespace
}  // namespace cmc::distributed
