#include "pipeline/distributed/plan.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "pipeline/core/error.hpp"
#include "pipeline/core/hash.hpp"
#include "tests/distributed/plans.hpp"

namespace cmc::distributed {
namespace {

TEST(TaskKey, IsTheHashOfCanonicalJson) {
  EXPECT_EQ(task_key("train", {{"b", 2}, {"a", "x"}}, {"k1", "k2"}),
            sha256(R"({"inputs":["k1","k2"],"parameters":{"a":"x","b":2},"stage":"train"})"));
}

TEST(TaskKey, ChangesWithEachPart) {
  const std::string key = task_key("train", {{"a", 1}}, {"k"});
  EXPECT_NE(task_key("score", {{"a", 1}}, {"k"}), key);
  EXPECT_NE(task_key("train", {{"a", 2}}, {"k"}), key);
  EXPECT_NE(task_key("train", {{"a", 1}}, {}), key);
}

TEST(TaskKey, RefusesWhatJsonCannotHold) {
  EXPECT_THROW(task_key("s", {{"a", {1.0, std::numeric_limits<double>::quiet_NaN()}}}, {}), Internal);
  EXPECT_THROW(task_key("s", {{"a", "\xff"}}, {}), Internal);
}

// What gives another result has another key; how it is called, scheduled and what it draws follows from the rest.
TEST(TaskKey, HoldsRevisionAndCompute) {
  Task task;
  task.stage = "train";
  task.parameters = {{"a", 1}};
  task.inputs = {"k"};
  task.compute = "cpu float32";
  const std::string key = key_of(task);
  Task revised = task, elsewhere = task, renamed = task;
  revised.revision = 2;
  elsewhere.compute = "cuda bfloat16";
  renamed.name = "another name", renamed.seconds = 7, renamed.seed = 5;
  EXPECT_NE(key_of(revised), key);
  EXPECT_NE(key_of(elsewhere), key);
  EXPECT_EQ(key_of(renamed), key);
}

TEST(Check, TakesADag) {
  EXPECT_NO_THROW(check({{task("a"), task("b", 1, {"a"}), task("c", 1, {"a", "b"})}}));
}

TEST(Check, NamesWhatIsWrong) {
  EXPECT_THROW(check({{task("a"), task("a")}}), Internal);
  EXPECT_THROW(check({{task("a", 1, {"zzz"})}}), Internal);
  EXPECT_THROW(check({{task("a", 1, {"a"})}}), Internal);
  EXPECT_THROW(check({{task("a", 1, {"b"}), task("b", 1, {"a"})}}), Internal);
  EXPECT_THROW(check({{task("")}}), Internal);
  EXPECT_THROW(check({{task("a", -1)}}), Internal);
  EXPECT_THROW(check({{task("a", std::numeric_limits<double>::infinity())}}), Internal);
  Task none = task("a");
  none.shares = 0;
  EXPECT_THROW(check({{none}}), Internal);
  try {
    check({{task("a", 1, {"zzz"})}});
  } catch (const Internal& error) {
    EXPECT_NE(std::string(error.what()).find("zzz"), std::string::npos) << error.what();
  }
}

TEST(SecondsOn, CountsRounds) {
  Task work = task("a", 12);
  work.shares = 4;
  EXPECT_DOUBLE_EQ(seconds_on(work, 1), 12);
  EXPECT_DOUBLE_EQ(seconds_on(work, 2), 6);
  EXPECT_DOUBLE_EQ(seconds_on(work, 3), 6);
  EXPECT_DOUBLE_EQ(seconds_on(work, 4), 3);
  EXPECT_DOUBLE_EQ(seconds_on(work, 9), 3);
}

TEST(LeastSeconds, IsTheLongestPathOrTheSpreadWork) {
  const Plan chain{{task("a", 3), task("b", 4, {"a"}), task("c", 5, {"b"})}};
  EXPECT_DOUBLE_EQ(least_seconds(chain, 1), 12);
  EXPECT_DOUBLE_EQ(least_seconds(chain, 100), 12);
  Plan wide;
  for (int i = 0; i < 12; ++i) wide.tasks.push_back(task("w" + std::to_string(i), 2));
  EXPECT_DOUBLE_EQ(least_seconds(wide, 4), 6);
  EXPECT_DOUBLE_EQ(least_seconds(wide, 24), 2);
}

TEST(LeastSeconds, CountsDependentsThatMustWaitAndOneLoadOfEachModel) {
  Plan fan{{task("train", 10)}};
  for (int i = 0; i < 8; ++i) fan.tasks.push_back(task("e" + std::to_string(i), 3, {"train"}));
  EXPECT_DOUBLE_EQ(least_seconds(fan, 2), 10 + 8 * 3 / 2.0);
  const Plan loads{{task("a", 2, {}, "m", 5), task("b", 2, {}, "m", 5), task("c", 2, {}, "n", 7)}};
  EXPECT_DOUBLE_EQ(least_seconds(loads, 1), 2 + 2 + 2 + 5 + 7);
}

}  // namespace
}  // namespace cmc::distributed
