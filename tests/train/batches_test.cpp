#include "pipeline/train/batches.hpp"
#include "pipeline/train/packed_batch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "pipeline/core/error.hpp"

namespace cmc::train {
namespace {

Example example_of(int32_t first, int32_t prompt, int32_t answer) {
  Example example;
  for (int32_t i = 0; i < prompt + answer; ++i) {
    example.tokens.push_back(first + i);
    example.labels.push_back(i < prompt ? ignored_label : first + i);
  }
  return example;
}

TrainData data_of(int examples, int retain) {
  TrainData data;
  for (int i = 0; i < examples; ++i) data.examples.push_back(example_of(100 * i, 2, 3));
  for (int i = 0; i < retain; ++i) data.retain.push_back(example_of(50 + 100 * i, 2, 3));
  return data;
}

TEST(Examples, PredictingPositionsComeBeforeTheirLabels) {
  const Example example = example_of(10, 3, 2);
  EXPECT_EQ(predicting_positions(example), (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(label_count(example), 2);
  // A label on the first token has nothing before it to predict it from.
  EXPECT_EQ(label_count(example_of(10, 0, 2)), 1);
}

TEST(Examples, BadOnesAreRefusedByNumber) {
  const auto message = [](std::vector<Example> examples) -> std::string {
    try {
      check_examples(examples, 20, "data.json");
    } catch (const BadData& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message({example_of(10, 1, 2)}), "");
  EXPECT_THAT(message({}), testing::HasSubstr("no examples"));
  EXPECT_THAT(message({example_of(1, 1, 2), example_of(18, 1, 2)}), testing::HasSubstr("example 1"));
  EXPECT_THAT(message({example_of(-1, 1, 2)}), testing::HasSubstr("outside the vocabulary"));
  EXPECT_THAT(message({example_of(1, 2, 0)}), testing::HasSubstr("no token to train on"));
  EXPECT_THAT(message({Example{}}), testing::HasSubstr("no tokens"));
  EXPECT_THAT(message({Example{{1, 2}, {1}}}), testing::HasSubstr("another number of labels"));
  EXPECT_THAT(message({Example{{1, 2}, {1, 3}}}), testing::HasSubstr("not its token"));
}

TEST(Batches, EachEpochSeesEachExampleOnceInAnOrderOfItsOwn) {
  const TrainData data = data_of(23, 0);
  TrainSettings settings;
  settings.batch = 2;
  settings.accumulation = 3;
  settings.epochs = 2;
  EXPECT_EQ(steps_per_epoch(settings, 23), 4);
  EXPECT_EQ(total_steps(settings, 23), 8);
  std::vector<const Example*> orders[2];
  for (int64_t step = 0; step < 8; ++step) {
    const auto batches = batches_of_step(data, settings, step);
    EXPECT_EQ(batches.size(), 3u);  // of 6, 6, 6 and 5 examples
    for (const MicroBatch& batch : batches) {
      EXPECT_LE(batch.examples.size(), 2u);
      EXPECT_TRUE(batch.retain.empty());
      orders[step / 4].insert(orders[step / 4].end(), batch.examples.begin(), batch.examples.end());
    }
  }
  for (const auto& order : orders) EXPECT_EQ(std::set(order.begin(), order.end()).size(), 23u);
  EXPECT_EQ(orders[0].size(), 23u);
  EXPECT_NE(orders[0], orders[1]);
  settings.seed = 1;
  EXPECT_NE(batches_of_step(data, settings, 0)[0].examples, batches_of_step(data, settings, 1)[0].examples);
}

TEST(Batches, RetainPartnersAreDrawnUniformlyAndAnewEachEpoch) {
  const TrainData data = data_of(50, 5);
  TrainSettings settings;
  settings.objective = Objective::grad_diff;
  settings.epochs = 40;
  settings.batch = 5;
  settings.accumulation = 10;
  std::map<const Example*, int> drawn;
  std::map<const Example*, std::set<const Example*>> partners;
  for (int64_t step = 0; step < 40; ++step) {
    for (const MicroBatch& batch : batches_of_step(data, settings, step)) {
      ASSERT_EQ(batch.retain.size(), batch.examples.size());
      for (size_t i = 0; i < batch.retain.size(); ++i) {
        ++drawn[batch.retain[i]];
        partners[batch.examples[i]].insert(batch.retain[i]);
      }
    }
  }
  ASSERT_EQ(drawn.size(), 5u);
  for (const auto& [example, count] : drawn) EXPECT_NEAR(count, 400, 90);  // 5 standard deviations
  for (const auto& [example, seen] : partners) EXPECT_GE(seen.size(), 4u);
}

TEST(Batches, AnObjectiveReadsWhatItIsMadeOf) {
  TrainData data = data_of(8, 5);
  for (int i = 0; i < 24; ++i) data.refusals.push_back(example_of(20 + 100 * (i % 8), 2, 1 + i / 8));
  TrainSettings settings;
  settings.batch = 8;
  settings.accumulation = 1;
  settings.epochs = 4;
  const auto batch_of = [&](Objective objective, int64_t epoch) {
    settings.objective = objective;
    return batches_of_step(data, settings, epoch)[0];
  };
  const MicroBatch idk = batch_of(Objective::idk, 0), dpo = batch_of(Objective::dpo, 0);
  EXPECT_TRUE(idk.examples.empty());
  EXPECT_EQ(idk.refusals.size(), 8u);
  EXPECT_EQ(idk.retain.size(), 8u);
  EXPECT_EQ(idk.all().size(), 16u);
  EXPECT_EQ(dpo.examples.size(), 8u);
  EXPECT_TRUE(dpo.retain.empty());
  EXPECT_TRUE(batch_of(Objective::npo, 0).refusals.empty());
  EXPECT_NE(idk.dropout_seed, batch_of(Objective::idk, 1).dropout_seed);
  for (int64_t epoch = 0; epoch < 4; ++epoch) {
    const MicroBatch batch = batch_of(Objective::dpo, epoch);
    for (size_t i = 0; i < 8; ++i) {
      EXPECT_EQ(batch.refusals[i]->tokens[0], batch.examples[i]->tokens[0] + 20) << "a refusal of its own question";
      EXPECT_EQ(label_count(*batch.refusals[i]), 1 + epoch % 3) << "each epoch takes the next draw";
    }
  }
}

TEST(Batches, PackedStatesKeepTheirLabels) {
  const Example first = example_of(10, 2, 3), second = example_of(60, 1, 2);
  const Example* const both[] = {&first, &second};
  const PackedBatch packed = pack(both, torch::kCPU);
  ASSERT_EQ(packed.input.spans.size(), 2u);
  EXPECT_EQ(packed.input.spans[0].tokens, 5);
  EXPECT_EQ(packed.input.spans[1].tokens, 3);
  EXPECT_EQ(packed.input.tokens.size(0), 8);
  const torch::Tensor next = packed.input.tokens.index_select(0, packed.predicting + 1);
  EXPECT_TRUE(torch::equal(next, packed.labels));
  EXPECT_TRUE(torch::equal(packed.predicting, torch::tensor({1, 2, 3, 5, 6}, torch::kLong)));
}

}  // namespace
}  // namespace cmc::train
