#include "stages/memory_retry.hpp"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <new>

#include "pipeline/core/error.hpp"

namespace cmc::stages {
namespace {

// What a stage that needs memory in proportion to its batch does where there is room for three rows.
struct Stage {
  int64_t batch = 16;
  std::vector<int64_t> tried = {};
  std::function<void()> fail;

  store::Unit run() {
    return with_less_memory(
        [&] {
          tried.push_back(batch);
          if (batch > 3) fail();
          store::Unit unit;
          unit.key = "done";
          return unit;
        },
        [&] { return batch > 1 && (batch /= 2) >= 1; });
  }
};

TEST(WithLessMemory, HalvesTheBatchUntilThereIsRoom) {
  const std::function<void()> failures[] = {
      [] { throw std::bad_alloc(); },
      [] { TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory"); },
      [] { torch::empty({int64_t{1} << 46}); }};
  for (const auto& fail : failures) {
    Stage stage{.fail = fail};
    EXPECT_EQ(stage.run().key, "done");
    EXPECT_EQ(stage.tried, (std::vector<int64_t>{16, 8, 4, 2}));
  }
}

TEST(WithLessMemory, GivesUpWhereNothingCanBeSpared) {
  int calls = 0;
  const auto work = [&]() -> store::Unit {
    ++calls;
    throw std::bad_alloc();
  };
  EXPECT_THROW(with_less_memory(work, [&] { return calls < 3; }), std::bad_alloc);
  EXPECT_EQ(calls, 3);
}

TEST(WithLessMemory, OtherErrorsAreNotTriedAgain) {
  Stage stage{.fail = [] { throw BadData({"file", "is bad", ""}); }};
  EXPECT_THROW(stage.run(), BadData);
  EXPECT_EQ(stage.tried.size(), 1u);
  Stage torch_error{.fail = [] { torch::ones({2, 3}).matmul(torch::ones({2, 3})); }};
  EXPECT_THROW(torch_error.run(), c10::Error);
  EXPECT_EQ(torch_error.tried.size(), 1u);
}

}  // namespace
}  // namespace cmc::stages
