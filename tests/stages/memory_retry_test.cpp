#include "stages/workbench/memory_retry.hpp"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <new>
#include <thread>

#include "pipeline/core/error.hpp"
#include "pipeline/distributed/thread_transport.hpp"

namespace cmc::stages {
namespace {

// What a stage that needs memory in proportion to its batch does where there is room for three rows.
struct Stage {
  int64_t batch = 16;
  std::vector<int64_t> tried = {};
  std::function<void()> fail;

  store::Unit run(Attempts ranks = Attempts({})) {
    return with_less_memory(
        ranks,
        [&](const distributed::Communicator&) {
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
  const std::function<void()> failures[] = {[] { throw std::bad_alloc(); },
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
  const auto work = [&](const distributed::Communicator&) -> store::Unit {
    ++calls;
    throw std::bad_alloc();
  };
  Attempts alone({});
  EXPECT_THROW(with_less_memory(alone, work, [&] { return calls < 3; }), std::bad_alloc);
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

TEST(WithLessMemory, KnowsWhatLibrariesSay) {
  const auto said = [](const std::string& text) {
    try {
      TORCH_CHECK(false, text);
    } catch (const c10::Error& error) {
      return is_out_of_memory(error);
    }
    return false;
  };
  EXPECT_TRUE(said("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"));
  EXPECT_TRUE(said("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"));
  EXPECT_TRUE(said("CUDA error: out of memory\nCUDA kernel errors might be reported asynchronously"));
  EXPECT_TRUE(said("NCCL Error 1: unhandled cuda error\nLast error:\nCuda failure 2 'out of memory'"));
  EXPECT_FALSE(said("CUDA error: an illegal memory access was encountered"));
  EXPECT_FALSE(said("NCCL Error 2: unhandled system error"));
  EXPECT_FALSE(is_out_of_memory(std::runtime_error("CUDA out of memory")));  // nobody's whom we know
}

// `ranks` threads of one group, each with a stage whose first attempts fail as `fail(rank, batch)` throws; between them
// a sum over all that each attempt needs.
struct Together {
  std::vector<int64_t> batches;     // of each rank, at the end
  std::vector<int> attempts;        // of each rank
  std::vector<float> sums;          // what the last attempt's sum was
  std::vector<std::string> errors;  // what() of what with_less_memory threw; empty: it returned

  template <class Fail>
  Together(int size, Fail fail, int64_t least = 1) : batches(size, 16), attempts(size), sums(size), errors(size) {
    auto group = distributed::thread_ranks(size);
    std::vector<std::jthread> threads;
    for (const auto& communicator : group)
      threads.emplace_back([&, communicator] {
        const auto rank = static_cast<size_t>(communicator.rank());
        Attempts ranks(communicator);
        const auto work = [&](const distributed::Communicator& attempt) {
          ++attempts[rank];
          for (int step = 0; step < 3;
               ++step) {  // every attempt leaves sums behind that its failing rank has not taken
            if (step == 1) fail(communicator.rank(), batches[rank]);
            float number = static_cast<float>(100 * step + communicator.rank());
            attempt.sum({&number, 1});
            sums[rank] = number;
          }
          return store::Unit{};
        };
        const auto spare = [&] { return batches[rank] > least && (batches[rank] /= 2) >= 1; };
        try {
          with_less_memory(ranks, work, spare);
          ranks.close();
        } catch (const std::exception& error) {
          errors[rank] = error.what();
        }
      });
  }
};

TEST(WithLessMemory, TheRanksOfAGroupHalveTogether) {
  for (const int size : {1, 2, 3}) {
    const Together run(size, [&](int rank, int64_t batch) {
      if (rank == size - 1 && batch > 3) TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory");
    });
    const auto ranks = static_cast<size_t>(size);
    EXPECT_EQ(run.errors, std::vector<std::string>(ranks));
    EXPECT_EQ(run.batches, std::vector<int64_t>(ranks, 2));
    EXPECT_EQ(run.attempts, std::vector<int>(ranks, 4));
    EXPECT_EQ(run.sums, std::vector<float>(ranks, static_cast<float>(200 * size + size * (size - 1) / 2)));
  }
}

TEST(WithLessMemory, AnyRankMayRunOutInTurn) {
  const Together run(2, [&](int rank, int64_t batch) {
    if (batch == (rank == 0 ? 16 : 8)) throw std::bad_alloc();
  });
  EXPECT_EQ(run.batches, (std::vector<int64_t>{4, 4}));
  EXPECT_EQ(run.sums, (std::vector<float>{401, 401}));
}

TEST(WithLessMemory, AGroupGivesUpTogether) {
  const Together run(
      2,
      [&](int rank, int64_t) {
        if (rank == 1) throw std::bad_alloc();
      },
      8);
  EXPECT_EQ(run.batches, (std::vector<int64_t>{8, 8}));
  EXPECT_NE(run.errors[0].find("gave up"), std::string::npos) << run.errors[0];
  EXPECT_NE(run.errors[1].find("bad_alloc"), std::string::npos) << run.errors[1];
}

TEST(WithLessMemory, AnotherErrorOfOneRankEndsAll) {
  const Together run(2, [&](int rank, int64_t) {
    if (rank == 0) throw BadData({"file", "is bad", ""});
  });
  EXPECT_EQ(run.attempts, (std::vector<int>{1, 1}));
  EXPECT_NE(run.errors[0].find("is bad"), std::string::npos) << run.errors[0];
  EXPECT_NE(run.errors[1].find("gave up"), std::string::npos) << run.errors[1];
}

}  // namespace
}  // namespace cmc::stages
