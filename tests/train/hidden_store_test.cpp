#include "pipeline/train/hidden_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "pipeline/core/random.hpp"
#include "pipeline/distributed/thread_transport.hpp"
#include "pipeline/train/packed_batch.hpp"
#include "tests/fusion/tiny_models.hpp"

namespace cmc::train {
namespace {

constexpr int64_t vocabulary = 40;

// Of 2 to 40 tokens, each with labels on its last ones.
std::vector<Example> examples_of(int count) {
  Random random(9);
  std::vector<Example> examples;
  for (int i = 0; i < count; ++i) {
    Example& example = examples.emplace_back();
    const auto tokens = 2 + random.below(39), labels = 1 + random.below(tokens - 1);
    for (size_t t = 0; t < tokens; ++t) {
      example.tokens.push_back(static_cast<int32_t>(random.below(vocabulary)));
      example.labels.push_back(t + labels < tokens ? ignored_label : example.tokens.back());
    }
  }
  return examples;
}

std::vector<const Example*> pointers(const std::vector<Example>& examples) {
  std::vector<const Example*> all;
  for (const Example& example : examples) all.push_back(&example);
  return all;
}

HiddenStore store_of(std::optional<int64_t> pass_tokens, std::optional<int64_t> device_bytes = {}) {
  return HiddenStore(fusion::tiny_llama(vocabulary, 3), {.device_bytes = device_bytes, .pass_tokens = pass_tokens});
}

TEST(Passes, HoldEachExampleOnceAndNoMoreThanTheLimit) {
  const auto examples = examples_of(50);
  const auto all = pointers(examples);
  for (const int64_t limit : {1, 37, 64, 100'000}) {
    std::vector<const Example*> seen;
    for (const auto& pass : passes_of(all, limit)) {
      int64_t tokens = 0;
      for (const Example* example : pass) tokens += std::ssize(example->tokens);
      EXPECT_TRUE(tokens <= limit || pass.size() == 1) << tokens << " of " << limit;
      seen.insert(seen.end(), pass.begin(), pass.end());
    }
    EXPECT_THAT(seen, testing::UnorderedElementsAreArray(all));
  }
  const auto alone = passes_of(all, 0);
  ASSERT_EQ(alone.size(), all.size());
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(alone[i], std::vector{all[i]});
}

TEST(HiddenStore, StatesOfPassesOfManyAreThoseOfEachAlone) {
  const auto examples = examples_of(30);
  const auto all = pointers(examples);
  HiddenStore alone = store_of(0);
  const torch::Tensor truth = alone.states(all);
  int64_t row = 0;
  for (const Example* example : all) {  // of the model, asked directly
    const torch::Tensor own = frozen_states(alone.model(), {{example}});
    EXPECT_TRUE(torch::equal(truth.narrow(0, row, own.size(0)), own));
    row += own.size(0);
  }
  EXPECT_EQ(row, truth.size(0));
  for (const int64_t limit : {50, 300, 1 << 20}) {
    HiddenStore together = store_of(limit);
    EXPECT_TRUE(torch::allclose(together.states(all), truth, 1e-5, 1e-6));
    EXPECT_EQ(together.examples(), 30);
  }
}

TEST(HiddenStore, WhatStaysOnTheDeviceIsTheSame) {
  const auto examples = examples_of(30);
  const auto all = pointers(examples);
  HiddenStore on_host = store_of(200, 0), on_device = store_of(200, 1 << 20), mixed = store_of(200, 6000);
  const torch::Tensor truth = on_host.states(all);
  EXPECT_TRUE(torch::equal(on_device.states(all), truth));
  EXPECT_TRUE(torch::equal(mixed.states(all), truth));
  EXPECT_EQ(on_host.device_bytes(), 0);
  EXPECT_EQ(on_device.device_bytes(), static_cast<int64_t>(truth.nbytes()));
  EXPECT_EQ(on_device.memory_bytes(), 0);
  EXPECT_GT(mixed.device_bytes(), 0);
  EXPECT_LE(mixed.device_bytes(), 6000);
  EXPECT_GT(mixed.memory_bytes(), 0);
}

TEST(HiddenStore, RanksHandEachOtherWhatTheyKeepOnTheirDevices) {
  const auto examples = examples_of(21);
  const auto all = pointers(examples);
  const torch::Tensor truth = store_of(0).states(all);
  for (const int64_t device_bytes : {0, 2000, 1 << 20}) {
    std::vector<torch::Tensor> states(3);
    {
      const auto ranks = distributed::thread_ranks(3);
      std::vector<std::jthread> threads;
      for (const auto& rank : ranks)
        threads.emplace_back([&, rank] {
          HiddenStore store = store_of(100, device_bytes);
          store.fill(all, rank);
          states[static_cast<size_t>(rank.rank())] = store.states(all);
        });
    }
    for (const torch::Tensor& each : states) EXPECT_TRUE(torch::allclose(each, truth, 1e-5, 1e-6));
    EXPECT_TRUE(torch::equal(states[0], states[1]) && torch::equal(states[0], states[2]));
  }
}

}  // namespace
}  // namespace cmc::train
