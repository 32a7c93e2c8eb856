#include "pipeline/fusion/context_cache.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "pipeline/core/random.hpp"
#include "tests/fusion/tiny_models.hpp"

namespace cmc::fusion {
namespace {

// [V] what the model says after `ids`, without any cache.
torch::Tensor fresh(const model::DecoderModel& model, const std::vector<int32_t>& ids) {
  const torch::NoGradGuard no_gradients;
  const std::vector<int64_t> tokens(ids.begin(), ids.end());
  const auto hidden = model.hidden(
      {torch::tensor(tokens, torch::kInt64), {{0, static_cast<int64_t>(ids.size())}}, {}, {}, {}, {}}, nullptr);
  return model.logits(hidden.slice(0, -1)).squeeze(0);
}

// Reads these portions as a step does: logits of those that are read whole.
torch::Tensor read(ContextCache& cache, const std::vector<Portion>& portions) {
  if (portions.empty()) return cache.no_logits();
  const auto rows = std::count_if(portions.begin(), portions.end(),
                                  [&](const Portion& portion) { return portion.tokens == cache.unread(portion.slot); });
  model::PlanBuffers buffers(torch::kCPU, 64);
  const auto logits = cache.logits(buffers.upload(cache.plan(portions, 0)), rows).whole();
  cache.advance(portions);
  return logits;
}

}  // namespace

// Slots that grow, are cut back and change in the middle, past the first capacity, always equal a fresh read.
// A portion of what is unread may come at a time.
TEST(ContextCache, FollowsAnyChangeOfContext) {
  const auto model = tiny_llama(30, 5);
  ContextCache cache(model, 3, 4);
  std::vector<std::vector<int32_t>> contexts(3);
  Random random(6);
  for (int step = 0; step < 40; ++step) {
    std::vector<Portion> asked;
    std::vector<int64_t> whole;
    for (int64_t slot = 0; slot < 3; ++slot) {
      auto& ids = contexts[static_cast<size_t>(slot)];
      const auto token = static_cast<int32_t>(random.below(30));
      if (random.below(3) == 0) {
        ids.resize(random.below(ids.size() + 1));
        for (uint64_t i = random.below(6); i > 0; --i) ids.push_back(static_cast<int32_t>(random.below(30)));
        if (ids.empty()) ids.push_back(token);
        cache.set(slot, ids);
      } else {
        ids.push_back(token);
        cache.append(slot, token);
      }
      if (random.below(4) == 0) continue;
      const int64_t unread = cache.unread(slot);
      asked.push_back({slot, random.below(2) == 0
                                 ? unread
                                 : 1 + static_cast<int64_t>(random.below(static_cast<uint64_t>(unread)))});
      if (asked.back().tokens == unread) whole.push_back(slot);
    }
    const auto logits = read(cache, asked);
    ASSERT_EQ(logits.size(0), std::ssize(whole));
    for (size_t i = 0; i < whole.size(); ++i)
      ASSERT_TRUE(torch::allclose(logits[static_cast<int64_t>(i)],
                                  fresh(*model, contexts[static_cast<size_t>(whole[i])]), 1e-4, 1e-4))
          << "step " << step << " slot " << whole[i];
  }
}

TEST(ContextCache, TheSameContextCanBeAskedTwice) {
  const auto model = tiny_llama(30, 7);
  ContextCache cache(model, 1, 8);
  cache.set(0, std::vector<int32_t>{1, 2, 3});
  const std::vector<Portion> all{{0, 3}}, last{{0, 1}};
  const auto first = read(cache, all);
  EXPECT_TRUE(torch::allclose(first, read(cache, last), 1e-5, 1e-5));
  cache.set(0, std::vector<int32_t>{1, 2});
  EXPECT_EQ(cache.unread(0), 1);
  EXPECT_TRUE(torch::allclose(read(cache, last)[0], fresh(*model, {1, 2}), 1e-4, 1e-4));
}

}  // namespace cmc::fusion
