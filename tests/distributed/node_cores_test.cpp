#include "pipeline/distributed/node_cores.hpp"

#include <gtest/gtest.h>

namespace cmc::distributed {
namespace {

TEST(CoresNow, AreOnesOwnWhileAllCompute) {
  EXPECT_EQ(cores_now(0, {-2, -2}, 4), 2);
  EXPECT_EQ(cores_now(1, {-1, -3}, 4), 3);
}

TEST(CoresNow, HoldThoseOfRanksThatWait) {
  EXPECT_EQ(cores_now(0, {-1, 1}, 2), 2);
  EXPECT_EQ(cores_now(2, {4, 4, -4, 4}, 16), 16);
}

TEST(CoresNow, AreDealtOneByOne) {
  const std::vector<int> states = {-1, 2, -1, 3, -1};
  EXPECT_EQ(cores_now(0, states, 8), 3);
  EXPECT_EQ(cores_now(2, states, 8), 3);
  EXPECT_EQ(cores_now(4, states, 8), 2);
}

TEST(CoresNow, AreNoneThatTheMaskForbids) {
  EXPECT_EQ(cores_now(0, {-1, 1}, 1), 1);
  EXPECT_EQ(cores_now(0, {-2, 6}, 4), 4);
  EXPECT_EQ(cores_now(0, {-4, 2}, 2), 4);  // asked for by OMP_NUM_THREADS
}

TEST(CoresNow, AreOnesOwnBesideRanksThatHaveToldNothing) {
  EXPECT_EQ(cores_now(0, {-2, 0, 0}, 8), 2);
}

}  // namespace
}  // namespace cmc::distributed
