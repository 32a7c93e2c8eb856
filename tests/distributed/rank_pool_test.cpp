#include "pipeline/distributed/rank_pool.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cmc::distributed {
namespace {
using testing::ElementsAre;
using State = RankPool::State;

constexpr int nothing_kept = 0, alone = 1, pair = 2;  // residencies
const std::vector<Residency> residencies = {
    {.ranks = 1, .kept = false}, {.ranks = 1, .kept = true}, {.ranks = 2, .kept = true}};

// Two nodes of two ranks.
struct Pool : RankPool {
  Pool() : RankPool(4, nodes_of(4, 2), residencies) {}
  void load(int rank, int residency) {
    reserve(rank);
    hold(rank, residency);
    release(rank);
  }
};

TEST(RankPool, CountsWhoHoldsAndHasHeld) {
  Pool pool;
  pool.load(0, alone);
  EXPECT_EQ(pool.held_by(0), alone);
  EXPECT_EQ(pool.holders(alone), 1);
  EXPECT_EQ(pool.free_holders(alone), 1);
  pool.occupy(0, 7);
  EXPECT_EQ(pool.assignment(0), 7);
  EXPECT_EQ(pool.free_holders(alone), 0);
  EXPECT_THAT(pool.free(), ElementsAre(1, 2, 3));
  pool.hold(0, none);
  EXPECT_EQ(pool.holders(alone), 0);
  EXPECT_TRUE(pool.has_had(0, alone));
  pool.hold(0, nothing_kept);
  EXPECT_FALSE(pool.has_had(0, nothing_kept)) << "nothing is loaded, so nothing is remembered";
}

TEST(RankPool, OthersAreThoseThatNeverHadIt) {
  Pool pool;
  for (int rank = 0; rank < 4; ++rank) {
    EXPECT_TRUE(pool.has_others(alone, &RankPool::Count::alive));
    pool.load(rank, alone);
  }
  EXPECT_FALSE(pool.has_others(alone, &RankPool::Count::alive));
  pool.lose(3);
  pool.find(3);
  EXPECT_TRUE(pool.has_others(alone, &RankPool::Count::free)) << "a rank that was lost holds nothing";
}

TEST(RankPool, AGroupsOthersAreOfOneNode) {
  Pool pool;
  EXPECT_TRUE(pool.has_room_for({.ranks = 2}, &RankPool::Count::alive));
  EXPECT_FALSE(pool.has_room_for({.ranks = 3}, &RankPool::Count::alive));
  for (const int rank : {0, 1}) pool.reserve(rank);
  EXPECT_EQ(pool.join_group(pair, {0, 1}).number, 1);
  EXPECT_TRUE(pool.has_others(pair, &RankPool::Count::free));
  pool.reserve(2);
  EXPECT_FALSE(pool.has_others(pair, &RankPool::Count::free)) << "one of the other node is not free";
}

TEST(RankPool, AGroupLastsUntilOneOfItsRanksIsNeededElsewhere) {
  Pool pool;
  for (const int rank : {0, 1}) pool.reserve(rank);
  EXPECT_TRUE(pool.join_group(pair, {0, 1}).made);
  pool.end_group_task(1, true);
  ASSERT_NE(pool.free_group(pair), nullptr);
  for (const int rank : {0, 1}) pool.occupy(rank, 1);
  EXPECT_EQ(pool.held_by(0), none) << "occupied without the group";
  EXPECT_EQ(pool.holders(pair), 0);
  EXPECT_EQ(pool.free_group(pair), nullptr);
}

TEST(RankPool, AGroupWhoseTaskFailedIsNoMore) {
  Pool pool;
  for (const int rank : {0, 1}) pool.reserve(rank);
  pool.join_group(pair, {0, 1});
  pool.end_group_task(1, false);
  EXPECT_EQ(pool.holders(pair), 0);
  EXPECT_THAT(pool.free(), ElementsAre(0, 1, 2, 3));
}

// A rank that was lost, is back and waits for another group belongs to that one alone.
TEST(RankPool, AGroupThatEndsFreesNoRankThatLeftIt) {
  Pool pool;
  for (const int rank : {0, 1}) pool.reserve(rank);
  pool.join_group(pair, {0, 1});
  pool.lose(1);
  pool.find(1);
  pool.reserve(1);
  pool.end_group_task(1, true);
  EXPECT_EQ(pool.state(0), State::free);
  EXPECT_EQ(pool.state(1), State::reserved);
}

}  // namespace
}  // namespace cmc::distributed
