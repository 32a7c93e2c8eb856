#include "pipeline/model/kept_memory.hpp"

#include <gtest/gtest.h>

namespace cmc::model {
namespace {

TEST(KeptMemory, ServesAgainWhatWasLetGo) {
  KeptMemory memory;
  const void* first = memory.of({3, 5}, torch::kFloat32).data_ptr();
  const auto smaller = memory.of({2, 5}, torch::kFloat32);
  EXPECT_EQ(smaller.data_ptr(), first);
  EXPECT_EQ(smaller.sizes(), (std::vector<int64_t>{2, 5}));
  EXPECT_TRUE(smaller.is_contiguous());
}

TEST(KeptMemory, NeverServesWhatIsHeld) {
  KeptMemory memory;
  auto held = memory.of({4}, torch::kFloat32);
  const auto part = held.narrow(0, 1, 2).fill_(7);
  held = torch::Tensor();
  memory.of({4}, torch::kFloat32).fill_(1);
  EXPECT_TRUE(part.equal(torch::full({2}, 7.0f)));
}

TEST(KeptMemory, GrowsAndChangesItsNumbers) {
  KeptMemory memory;
  memory.of({2}, torch::kFloat32);
  EXPECT_EQ(memory.of({8}, torch::kFloat32).numel(), 8);
  EXPECT_EQ(memory.of({8}, torch::kFloat64).scalar_type(), torch::kFloat64);
}

}  // namespace
}  // namespace cmc::model
