#include "pipeline/distributed/dispatcher.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/distributed/plans.hpp"

namespace cmc::distributed {
namespace {
using testing::ElementsAre;
using testing::IsEmpty;

std::string key_of(const Plan& plan, const Assignment& one) {
  return plan.tasks[one.task].key;
}

TEST(Dispatcher, LongestFirst) {
  const Plan plan{{task("short", 1), task("long", 9), task("middle", 5)}};
  Dispatcher dispatcher(plan, {}, 2, {});
  const auto made = dispatcher.assign(0);
  ASSERT_EQ(made.size(), 2u);
  EXPECT_EQ(key_of(plan, made[0]), "long");
  EXPECT_EQ(key_of(plan, made[1]), "middle");
  EXPECT_THAT(dispatcher.assign(1), IsEmpty());
}

TEST(Dispatcher, StartsWhatOthersWaitForBeforeALongerTask) {
  const Plan plan{{task("long", 6), task("first", 1), task("second", 9, {"first"})}};
  Dispatcher dispatcher(plan, {}, 1, {});
  EXPECT_EQ(key_of(plan, dispatcher.assign(0).at(0)), "first");
}

TEST(Dispatcher, ARankKeepsItsModel) {
  Plan plan;
  add_bundle(plan, "small", 2, 1, 1);
  add_bundle(plan, "large", 3, 1, 1);
  Dispatcher dispatcher(plan, {}, 1, {});
  std::string order;
  for (double now = 0; !dispatcher.complete(); ++now) {
    const Assignment one = dispatcher.assign(now).at(0);
    order += plan.tasks[one.task].residency + " ";
    EXPECT_EQ(one.loads, order == "large " || order == "large large large small " ? 1 : 0);
    dispatcher.report(now, one.id, 0, {Result::done});
  }
  EXPECT_EQ(order, "large large large small small ");
}

TEST(Dispatcher, SharesAModelOnlyWhereItPays) {
  Plan cheap, dear;
  add_bundle(cheap, "m", 10, 1, 2);
  add_bundle(dear, "m", 10, 1, 20);
  EXPECT_EQ(Dispatcher(cheap, {}, 3, {}).assign(0).size(), 3u);
  EXPECT_EQ(Dispatcher(dear, {}, 3, {}).assign(0).size(), 1u);
}

TEST(Dispatcher, RetriesOnAnotherRankThenFails) {
  const Plan plan{{task("bad"), task("after", 1, {"bad"}), task("later", 1, {"after"}), task("good")}};
  Dispatcher dispatcher(plan, {}, 2, {});
  auto made = dispatcher.assign(0);
  ASSERT_EQ(key_of(plan, made.at(0)), "bad");
  const int first = made[0].ranks[0];
  dispatcher.report(1, made[0].id, first, {Result::failed, "no memory"});
  EXPECT_THAT(dispatcher.assign(1), IsEmpty());  // the other rank is busy: the retry waits for it
  dispatcher.report(2, made[1].id, 1 - first, {Result::done});
  made = dispatcher.assign(2);
  ASSERT_EQ(made.size(), 1u);
  EXPECT_EQ(key_of(plan, made[0]), "bad");
  EXPECT_THAT(made[0].ranks, ElementsAre(1 - first));
  dispatcher.report(3, made[0].id, 1 - first, {Result::failed, "again"});
  EXPECT_TRUE(dispatcher.complete());
  const Outcome outcome = dispatcher.outcome();
  EXPECT_EQ(outcome.done, 1);
  ASSERT_EQ(outcome.failed.size(), 1u);
  EXPECT_EQ(outcome.failed[0].key, "bad");
  EXPECT_EQ(outcome.failed[0].message, "again");
  EXPECT_THAT(outcome.not_run, ElementsAre("after", "later"));
  EXPECT_FALSE(outcome.stopped);
}

TEST(Dispatcher, ADiskThatFailsATaskEndsTheRun) {
  for (const ExitCode code : {ExitCode::io_error, ExitCode::bad_data}) {
    const Plan plan{{task("bad", 3), task("good", 2), task("later", 1)}};
    Dispatcher dispatcher(plan, {}, 1, {});
    for (int attempt = 0; attempt < 2; ++attempt) {
      EXPECT_FALSE(dispatcher.complete());  // it may have been full for a moment
      dispatcher.report(attempt, dispatcher.assign(attempt).at(0).id, 0, {Result::failed, "full", code});
    }
    EXPECT_EQ(dispatcher.complete(), code == ExitCode::io_error);
    EXPECT_EQ(dispatcher.assign(2).size(), code == ExitCode::io_error ? 0 : 1);
    if (code != ExitCode::io_error) continue;
    EXPECT_THAT(dispatcher.outcome().not_run, ElementsAre("good", "later"));
    EXPECT_FALSE(dispatcher.outcome().stopped);
  }
}

TEST(Dispatcher, ADiskThatFailsTwoTasksInARowEndsTheRun) {
  const Plan plan{{task("long", 9), task("a", 3), task("b", 2), task("c", 1), task("d", 1), task("e", 1)}};
  Dispatcher dispatcher(plan, {}, 2, {});
  auto made = dispatcher.assign(0);
  ASSERT_EQ(key_of(plan, made.at(0)), "long");
  const int rank = made.at(1).ranks.at(0);
  for (const Result result : {Result::failed, Result::done, Result::failed, Result::failed}) {
    EXPECT_FALSE(dispatcher.complete());  // the other rank, which the retries wait for, is busy all the time
    dispatcher.report(1, made.back().id, rank, {result, "full", ExitCode::io_error});
    made = dispatcher.assign(1);
  }
  EXPECT_THAT(made, IsEmpty());
  dispatcher.report(9, 1, 1 - rank, {Result::done});
  EXPECT_TRUE(dispatcher.complete());
  const Outcome outcome = dispatcher.outcome();
  EXPECT_EQ(outcome.done, 2);
  ASSERT_EQ(outcome.failed.size(), 1u);
  EXPECT_EQ(outcome.failed[0].key, "d");
  EXPECT_THAT(outcome.not_run, ElementsAre("a", "c", "e"));
  EXPECT_FALSE(outcome.stopped);
}

TEST(Dispatcher, OneRankRetriesItself) {
  const Plan plan{{task("bad")}};
  Dispatcher dispatcher(plan, {}, 1, {.attempts = 3});
  for (int attempt = 0; attempt < 3; ++attempt)
    dispatcher.report(attempt, dispatcher.assign(attempt).at(0).id, 0, {Result::failed, std::to_string(attempt)});
  EXPECT_TRUE(dispatcher.complete());
  EXPECT_EQ(dispatcher.outcome().failed.at(0).message, "2");
}

TEST(Dispatcher, FinishedTasksAreNotRunAgain) {
  const Plan plan{{task("a"), task("b", 1, {"a"}), task("c", 1, {"b"})}};
  Dispatcher dispatcher(plan, {"a", "b"}, 1, {});
  EXPECT_EQ(dispatcher.graph().total(), 1);
  EXPECT_EQ(key_of(plan, dispatcher.assign(0).at(0)), "c");
  EXPECT_TRUE(Dispatcher(plan, {"a", "b", "c"}, 4, {}).complete());
  EXPECT_EQ(Dispatcher(plan, {"a", "b", "c"}, 4, {}).outcome().done, 0);
}

TEST(Dispatcher, StopLetsRunningTasksEnd) {
  const Plan plan{{task("a"), task("b", 1, {"a"}), task("c")}};
  Dispatcher dispatcher(plan, {}, 1, {});
  const auto made = dispatcher.assign(0);
  dispatcher.stop();
  EXPECT_FALSE(dispatcher.complete());
  dispatcher.report(1, made.at(0).id, 0, {Result::done});
  EXPECT_THAT(dispatcher.assign(1), IsEmpty());
  EXPECT_TRUE(dispatcher.complete());
  EXPECT_EQ(dispatcher.outcome().done, 1);
  EXPECT_TRUE(dispatcher.outcome().stopped);
  EXPECT_EQ(dispatcher.outcome().not_run.size(), 2u);
}

TEST(Dispatcher, StopAfterTheLastTaskIsNoStop) {
  const Plan plan{{task("a")}};
  Dispatcher dispatcher(plan, {}, 1, {});
  dispatcher.report(1, dispatcher.assign(0).at(0).id, 0, {Result::done});
  dispatcher.stop();
  EXPECT_FALSE(dispatcher.outcome().stopped);
}

TEST(Dispatcher, AStoppedTaskStopsTheRun) {
  const Plan plan{{task("a"), task("b")}};
  Dispatcher dispatcher(plan, {}, 1, {});
  dispatcher.report(1, dispatcher.assign(0).at(0).id, 0, {Result::stopped});
  EXPECT_TRUE(dispatcher.complete());
  EXPECT_TRUE(dispatcher.outcome().stopped);
  EXPECT_THAT(dispatcher.outcome().not_run, ElementsAre("a", "b"));
}

TEST(Dispatcher, StartsNothingThatNeedsMoreTimeThanIsLeft) {
  Plan plan{{task("long", 100), task("after", 1, {"long"}), task("short", 5)}};
  Dispatcher dispatcher(plan, {}, 1, {});
  const auto made = dispatcher.assign(0, 10);
  EXPECT_EQ(key_of(plan, made.at(0)), "short");
  dispatcher.report(5, made[0].id, 0, {Result::done});
  EXPECT_TRUE(dispatcher.complete());
  EXPECT_TRUE(dispatcher.outcome().stopped);
  EXPECT_THAT(dispatcher.outcome().not_run, ElementsAre("long", "after"));
  plan.tasks[0].resumable = true;
  EXPECT_EQ(key_of(plan, Dispatcher(plan, {}, 1, {}).assign(0, 10).at(0)), "long");
}

Plan shared(int shares, double seconds) {
  Plan plan{{task("train", seconds)}};
  plan.tasks[0].shares = shares;
  return plan;
}

TEST(Dispatcher, ASharedTaskTakesAllIdleRanksItCanUse) {
  EXPECT_THAT(Dispatcher(shared(4, 8), {}, 1, {}).assign(0).at(0).ranks, ElementsAre(0));
  EXPECT_THAT(Dispatcher(shared(4, 8), {}, 2, {}).assign(0).at(0).ranks, ElementsAre(0, 1));
  EXPECT_THAT(Dispatcher(shared(4, 8), {}, 3, {}).assign(0).at(0).ranks.size(), 2u);  // 3 need two rounds, as 2 do
  EXPECT_THAT(Dispatcher(shared(4, 8), {}, 9, {}).assign(0).at(0).ranks.size(), 4u);
}

TEST(Dispatcher, SharedTasksDivideTheRanks) {
  Plan plan{{task("a", 10), task("b", 10)}};
  plan.tasks[0].shares = plan.tasks[1].shares = 4;
  const auto made = Dispatcher(plan, {}, 4, {}).assign(0);
  ASSERT_EQ(made.size(), 2u);
  EXPECT_EQ(made[0].ranks.size(), 2u);
  EXPECT_EQ(made[1].ranks.size(), 2u);
}

TEST(Dispatcher, AGroupWaitsForRanksButNotForEver) {
  Plan plan{{task("first", 1), task("eval", 8), task("train", 100, {"first"})}};
  plan.tasks[2].shares = 2;
  Dispatcher dispatcher(plan, {}, 2, {.patience = 0.1});
  const auto made = dispatcher.assign(0);
  ASSERT_EQ(made.size(), 2u);
  const auto& first = key_of(plan, made[0]) == "first" ? made[0] : made[1];
  dispatcher.report(1, first.id, first.ranks[0], {Result::done});
  EXPECT_THAT(dispatcher.assign(1), IsEmpty());
  EXPECT_DOUBLE_EQ(dispatcher.wake_up(), 11);
  EXPECT_THAT(dispatcher.assign(10.9), IsEmpty());
  const auto later = dispatcher.assign(11);
  ASSERT_EQ(later.size(), 1u);
  EXPECT_EQ(later[0].ranks.size(), 1u);
  EXPECT_EQ(dispatcher.wake_up(), never);
}

TEST(Dispatcher, AGroupDoesNotWaitForARankThatIsBusyForLong) {
  Plan plan{{task("first", 1), task("eval", 50), task("train", 100, {"first"})}};
  plan.tasks[2].shares = 2;
  Dispatcher dispatcher(plan, {}, 2, {.patience = 0.1});
  const auto made = dispatcher.assign(0);
  const auto& first = key_of(plan, made[0]) == "first" ? made[0] : made[1];
  dispatcher.report(1, first.id, first.ranks[0], {Result::done});
  const auto later = dispatcher.assign(1);
  ASSERT_EQ(later.size(), 1u);
  EXPECT_EQ(later[0].ranks.size(), 1u);
}

TEST(Dispatcher, AWaitingGroupStartsWhenItIsFull) {
  Plan plan{{task("first", 1), task("eval", 5), task("train", 100, {"first"})}};
  plan.tasks[2].shares = 2;
  Dispatcher dispatcher(plan, {}, 2, {.patience = 0.1});
  const auto made = dispatcher.assign(0);
  const auto& first = key_of(plan, made[0]) == "first" ? made[0] : made[1];
  const auto& eval = key_of(plan, made[0]) == "eval" ? made[0] : made[1];
  dispatcher.report(1, first.id, first.ranks[0], {Result::done});
  EXPECT_THAT(dispatcher.assign(1), IsEmpty());
  dispatcher.report(5, eval.id, eval.ranks[0], {Result::done});
  EXPECT_THAT(dispatcher.assign(5).at(0).ranks, ElementsAre(0, 1));
}

TEST(Dispatcher, WhenOneOfAGroupFailsTheOthersGiveUp) {
  const Plan plan = shared(3, 3);
  Dispatcher dispatcher(plan, {}, 3, {.attempts = 2});
  const auto made = dispatcher.assign(0);
  ASSERT_EQ(made.at(0).ranks.size(), 3u);
  EXPECT_THAT(dispatcher.report(1, made[0].id, 1, {Result::failed, "cause"}), ElementsAre(0, 2));
  EXPECT_THAT(dispatcher.assign(1), IsEmpty());
  EXPECT_THAT(dispatcher.report(1, made[0].id, 0, {Result::failed, "another rank gave up"}), IsEmpty());
  EXPECT_THAT(dispatcher.report(1, made[0].id, 2, {Result::done}), IsEmpty());
  const auto retry = dispatcher.assign(2);
  ASSERT_EQ(retry.size(), 1u);
  EXPECT_THAT(retry[0].ranks, testing::Not(testing::Contains(1)));
  for (const int rank : retry[0].ranks) dispatcher.report(3, retry[0].id, rank, {Result::failed, "cause 2"});
  EXPECT_EQ(dispatcher.outcome().failed.at(0).message, "cause 2");
}

TEST(Dispatcher, ALostRanksTaskIsDoneElsewhere) {
  const Plan plan{{task("a", 2), task("b", 1)}};
  Dispatcher dispatcher(plan, {}, 2, {});
  const auto made = dispatcher.assign(0);
  dispatcher.lost(1, made[0].ranks[0]);
  EXPECT_THAT(dispatcher.assign(1), IsEmpty());
  dispatcher.report(2, made[1].id, made[1].ranks[0], {Result::done});
  const auto again = dispatcher.assign(2);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].ranks, made[1].ranks);
  dispatcher.report(3, again[0].id, again[0].ranks[0], {Result::done});
  EXPECT_TRUE(dispatcher.complete());
  EXPECT_EQ(dispatcher.outcome().done, 2);
}

TEST(Dispatcher, ALostRankComesBack) {
  const Plan plan{{task("a", 3), task("b", 2), task("c", 1)}};
  Dispatcher dispatcher(plan, {}, 2, {});
  const auto made = dispatcher.assign(0);
  const int gone = made[0].ranks[0];
  EXPECT_EQ(dispatcher.assignment_of(gone), made[0].id);
  EXPECT_THAT(dispatcher.running().at(made[0].id).waiting, ElementsAre(gone));
  dispatcher.lost(1, gone);
  EXPECT_EQ(dispatcher.assignment_of(gone), 0);
  dispatcher.done_late(made[0].task);  // before "a" has started again
  dispatcher.found(gone);
  const auto next = dispatcher.assign(2);
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(key_of(plan, next[0]), "c");
  EXPECT_THAT(next[0].ranks, ElementsAre(gone));
  dispatcher.report(3, next[0].id, gone, {Result::done});
  dispatcher.report(3, made[1].id, made[1].ranks[0], {Result::done});
  EXPECT_TRUE(dispatcher.complete());
  EXPECT_EQ(dispatcher.outcome().done, 3);
}

TEST(Dispatcher, ALateReportOfATaskThatRunsElsewhereChangesNothing) {
  const Plan plan{{task("a", 3)}};
  Dispatcher dispatcher(plan, {}, 2, {});
  const auto made = dispatcher.assign(0);
  dispatcher.lost(1, made[0].ranks[0]);
  const auto again = dispatcher.assign(1);
  ASSERT_EQ(again.size(), 1u);
  dispatcher.done_late(made[0].task);
  dispatcher.found(made[0].ranks[0]);
  EXPECT_FALSE(dispatcher.complete());
  dispatcher.report(2, again[0].id, again[0].ranks[0], {Result::done});
  EXPECT_TRUE(dispatcher.complete());
  EXPECT_EQ(dispatcher.outcome().done, 1);
}

TEST(Dispatcher, ALostRankIsNoAttemptOfItsTask) {
  const Plan plan{{task("a", 3)}};
  Dispatcher dispatcher(plan, {}, 4, {.attempts = 2});
  for (int i = 0; i < 3; ++i) dispatcher.lost(i, dispatcher.assign(i).at(0).ranks[0]);
  const auto last = dispatcher.assign(4);
  ASSERT_EQ(last.size(), 1u);
  dispatcher.report(5, last[0].id, last[0].ranks[0], {Result::done});
  EXPECT_EQ(dispatcher.outcome().done, 1);
}

TEST(Dispatcher, WithoutRanksNothingIsDone) {
  const Plan plan{{task("a"), task("b")}};
  Dispatcher dispatcher(plan, {}, 1, {});
  dispatcher.assign(0);
  dispatcher.lost(1, 0);
  EXPECT_TRUE(dispatcher.complete());
  EXPECT_EQ(dispatcher.outcome().not_run.size(), 2u);
}

TEST(Dispatcher, CountsWorkAndMeasuresEachStagesSpeed) {
  Plan plan{{task("a", 4), task("b", 6), task("c", 1), task("d", 8)}};
  plan.tasks[2].stage = plan.tasks[3].stage = "other";
  Dispatcher dispatcher(plan, {}, 1, {});
  EXPECT_DOUBLE_EQ(dispatcher.graph().total_seconds(), 19);
  EXPECT_DOUBLE_EQ(dispatcher.speeds().slowness("test"), 1);
  const auto end_next = [&](double from, double to) {
    const Assignment one = dispatcher.assign(from).at(0);
    dispatcher.report(to, one.id, 0, {Result::done});
    return key_of(plan, one);
  };
  EXPECT_EQ(end_next(0, 24), "d");
  EXPECT_DOUBLE_EQ(dispatcher.graph().total_seconds() - dispatcher.graph().remaining_seconds(), 8);
  EXPECT_DOUBLE_EQ(dispatcher.speeds().slowness("other"), 3);
  EXPECT_DOUBLE_EQ(dispatcher.speeds().slowness("test"), 3);  // nothing better is known
  EXPECT_EQ(end_next(24, 36), "b");
  EXPECT_DOUBLE_EQ(dispatcher.speeds().slowness("test"), 2);
  EXPECT_DOUBLE_EQ(dispatcher.work_left(), 4 * 2 + 1 * 3);
}

}  // namespace
}  // namespace cmc::distributed
