#include "pipeline/core/cards.hpp"

#include <gtest/gtest.h>

namespace cmc {
namespace {

TEST(Cards, AreReadFromTheDriver) {
  const auto found = cards(CMC_FAKE_CUDA_DRIVER);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].name, "First Card");
  EXPECT_EQ(found[0].capability, 90);
  EXPECT_EQ(found[0].multiprocessors, 132);
  EXPECT_EQ(found[0].memory_bytes, int64_t{80} << 30);
  EXPECT_EQ(found[1].name, "Second Card");
  EXPECT_EQ(found[1].capability, 86);
  EXPECT_EQ(found[1].multiprocessors, 108);
}

TEST(Cards, AreNoneWithoutADriver) {
  EXPECT_TRUE(cards("libno-such-driver.so").empty());
  EXPECT_TRUE(cards("libc.so.6").empty());  // a library without the driver's functions
}

}  // namespace
}  // namespace cmc
