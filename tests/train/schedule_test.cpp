#include "pipeline/train/schedule.hpp"

#include <gtest/gtest.h>

#include "pipeline/core/error.hpp"

namespace cmc::train {
namespace {

TEST(Schedule, WarmupIsTheLongestThatIsGiven) {
  EXPECT_EQ(warmup_steps({}, 100, 10), 0);
  EXPECT_EQ(warmup_steps({.ratio = 0.03}, 101, 10), 4);  // rounded up
  EXPECT_EQ(warmup_steps({.steps = 7}, 100, 10), 7);
  EXPECT_EQ(warmup_steps({.epochs = 1}, 100, 10), 10);
  EXPECT_EQ(warmup_steps({.epochs = 0.01}, 100, 10), 1);
  EXPECT_EQ(warmup_steps({.ratio = 0.5, .steps = 7, .epochs = 1}, 100, 10), 50);
}

TEST(Schedule, StartsAtZeroPeaksAfterTheWarmupAndEndsAtZero) {
  for (const ScheduleShape shape : {ScheduleShape::linear, ScheduleShape::cosine}) {
    EXPECT_EQ(learning_rate_factor(shape, 0, 10, 100), 0.0);
    EXPECT_DOUBLE_EQ(learning_rate_factor(shape, 10, 10, 100), 1.0);
    EXPECT_NEAR(learning_rate_factor(shape, 55, 10, 100), 0.5, 1e-12);
    EXPECT_NEAR(learning_rate_factor(shape, 100, 10, 100), 0.0, 1e-12);
  }
  EXPECT_EQ(learning_rate_factor(ScheduleShape::constant, 99, 10, 100), 1.0);
}

TEST(Schedule, DecaysToItsFloor) {
  for (const ScheduleShape shape : {ScheduleShape::linear, ScheduleShape::cosine}) {
    EXPECT_EQ(learning_rate_factor(shape, 0, 10, 100, 0.1), 0.0) << "the warm-up starts at zero all the same";
    EXPECT_DOUBLE_EQ(learning_rate_factor(shape, 10, 10, 100, 0.1), 1.0);
    EXPECT_NEAR(learning_rate_factor(shape, 55, 10, 100, 0.1), 0.55, 1e-12);
    EXPECT_NEAR(learning_rate_factor(shape, 100, 10, 100, 0.1), 0.1, 1e-12);
  }
  EXPECT_EQ(learning_rate_factor(ScheduleShape::constant, 99, 10, 100, 0.1), 1.0);
}

TEST(Schedule, NamesGoBothWays) {
  for (const ScheduleShape shape : {ScheduleShape::constant, ScheduleShape::linear, ScheduleShape::cosine}) {
    EXPECT_EQ(schedule_shape(name_of(shape)), shape);
  }
  EXPECT_THROW(schedule_shape("cosin"), BadExperiment);
}

}  // namespace
}  // namespace cmc::train
