#include "pipeline/distributed/cost_model.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "pipeline/core/random.hpp"
#include "tests/distributed/plans.hpp"

namespace cmc::distributed {
namespace {

TEST(CostModel, WithoutFinishedTasksKeepsTheEstimates) {
  const CostModel model;
  EXPECT_EQ(model.factor("train"), 1);
  EXPECT_EQ(CostModel(std::span<const MeasuredTask>()).factor("train"), 1);
  const Plan plan = model.calibrated({{task("a", 3, {}, "m", 2)}});
  EXPECT_EQ(plan.tasks[0].seconds, 3);
  EXPECT_EQ(plan.tasks[0].load_seconds, 2);
}

TEST(CostModel, FindsEachStagesFactorAndLoadingsDespiteDisturbedTasks) {
  Random random(1);
  std::vector<MeasuredTask> finished;
  for (int i = 0; i < 60; ++i) {
    const bool train = i % 3 == 0;
    MeasuredTask one{train ? "train" : "score", 1 + 10 * random.uniform(), i % 7 == 0 ? 20.0 : 0.0, 0};
    const double noise = 0.99 + 0.02 * random.uniform();
    one.wall_seconds = (train ? 4 : 0.5) * one.estimated_seconds * noise + 1.5 * one.load_seconds;
    if (i % 10 == 1) one.wall_seconds *= 50;  // disturbed
    finished.push_back(one);
  }
  const CostModel model(finished);
  EXPECT_NEAR(model.factor("train"), 4, 0.05);
  EXPECT_NEAR(model.factor("score"), 0.5, 0.01);
  EXPECT_NEAR(model.load_factor(), 1.5, 0.1);
  EXPECT_NEAR(model.factor("judge"), (4 + 0.5) / 2, 0.05);  // none finished: between the others
}

TEST(CostModel, AStageWhoseTasksAllLoadedGetsWhatLoadingLeaves) {
  const std::vector<MeasuredTask> finished = {
      {"score", 10, 0, 20}, {"score", 10, 5, 30}, {"tune", 10, 5, 40}, {"tune", 20, 5, 70}};
  const CostModel model(finished);
  EXPECT_DOUBLE_EQ(model.factor("score"), 2);
  EXPECT_DOUBLE_EQ(model.load_factor(), 2);
  EXPECT_DOUBLE_EQ(model.factor("tune"), 3);
}

// Against a search over all factors: the fit has the least sum of absolute deviations.
TEST(CostModel, NoFactorDeviatesLess) {
  Random random(2);
  for (int round = 0; round < 20; ++round) {
    std::vector<MeasuredTask> finished;
    for (int i = 0; i < 9; ++i) finished.push_back({"s", 0.1 + random.uniform(), 0, 3 * random.uniform()});
    const auto deviation = [&](double factor) {
      double sum = 0;
      for (const auto& one : finished) sum += std::abs(one.wall_seconds - factor * one.estimated_seconds);
      return sum;
    };
    const double fitted = deviation(CostModel(finished).factor("s"));
    for (double factor = 0; factor < 30; factor += 0.01) EXPECT_LE(fitted, deviation(factor) + 1e-9);
  }
}

TEST(CostModel, TasksWithoutAnEstimateTellNothing) {
  const std::vector<MeasuredTask> finished = {{"map", 0, 0, 5}};
  EXPECT_EQ(CostModel(finished).factor("map"), 1);
}

}  // namespace
}  // namespace cmc::distributed
