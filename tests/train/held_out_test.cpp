#include "pipeline/train/held_out.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "pipeline/core/error.hpp"

namespace cmc::train {
namespace {

Example numbered(int32_t number) {
  return {{number, number}, {ignored_label, number}};
}

std::vector<int32_t> numbers_of(const std::vector<Example>& examples) {
  std::vector<int32_t> numbers;
  for (const Example& example : examples) numbers.push_back(example.tokens.front());
  return numbers;
}

using Numbers = std::vector<int32_t>;

TrainData five_of_three_draws() {
  TrainData data;
  for (int32_t i = 0; i < 5; ++i) data.examples.push_back(numbered(i));
  for (int32_t i = 0; i < 4; ++i) data.retain.push_back(numbered(10 + i));
  for (int32_t i = 0; i < 15; ++i) data.refusals.push_back(numbered(100 * (1 + i / 5) + i % 5));
  return data;
}

TEST(HeldOut, TheLastExamplesAndWhatBelongsToThem) {
  TrainData data = five_of_three_draws();
  const TrainData held_out = hold_out(data, 2);
  EXPECT_EQ(numbers_of(held_out.examples), (Numbers{3, 4}));
  EXPECT_EQ(numbers_of(held_out.retain), (Numbers{12, 13}));
  EXPECT_EQ(numbers_of(held_out.refusals), (Numbers{103, 104})) << "of the first draw";
  EXPECT_EQ(numbers_of(data.examples), (Numbers{0, 1, 2}));
  EXPECT_EQ(numbers_of(data.retain), (Numbers{10, 11}));
  EXPECT_EQ(numbers_of(data.refusals), (Numbers{100, 101, 102, 200, 201, 202, 300, 301, 302})) << "of every draw";
}

TEST(HeldOut, SomethingIsLeft) {
  for (const int64_t count : {4, 5, 9}) {
    TrainData data = five_of_three_draws();
    EXPECT_THROW(hold_out(data, count), BadData) << count << " of 5 examples and 4 retained ones";
  }
  TrainData none = five_of_three_draws();
  EXPECT_TRUE(hold_out(none, 0).examples.empty());
  EXPECT_EQ(none.examples.size(), 5u);
}

TEST(HeldOut, InOrderEachBesideWhatBelongsToIt) {
  TrainData data = five_of_three_draws();
  TrainSettings settings;
  settings.batch = 2;
  settings.objective = Objective::idk;
  const auto batches = batches_in_order(data, settings);
  ASSERT_EQ(batches.size(), 3u);
  EXPECT_TRUE(batches[0].examples.empty());
  EXPECT_EQ(batches[1].refusals[1]->tokens.front(), 103);
  EXPECT_EQ(batches[1].retain[1]->tokens.front(), 13);
  EXPECT_EQ(batches[2].retain[0]->tokens.front(), 10) << "they begin again where they are fewer";
}

TEST(HeldOut, TheBestIsTheEarliestOfTheLowest) {
  const auto losses = [](const std::vector<double>& values) {
    std::vector<HeldOutLoss> list;
    for (const double value : values) list.push_back({.step = std::ssize(list) + 1, .loss = value});
    return best_of(list);
  };
  const double nan = std::nan("");
  EXPECT_EQ(losses({}), std::nullopt);
  EXPECT_EQ(losses({nan, nan}), std::nullopt);
  EXPECT_EQ(losses({3, -1, 2, -1}), 1u);
  EXPECT_EQ(losses({nan, 2, 1}), 2u);
  EXPECT_EQ(losses({1, nan, 2}), 0u);
}

}  // namespace
}  // namespace cmc::train
