#include "pipeline/distributed/session.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include "pipeline/core/error.hpp"

namespace cmc::distributed {
namespace {

TEST(CoresFor, UnboundRanksDivideTheNode) {
  const std::vector<int> all = {0, 1, 2, 3, 4, 5, 6, 7};
  for (int rank = 0; rank < 3; ++rank) EXPECT_EQ(cores_for(rank, {all, all, all}), 2);
  EXPECT_EQ(cores_for(0, {all}), 8);
}

TEST(CoresFor, BoundRanksKeepTheirOwn) {
  EXPECT_EQ(cores_for(0, {{0, 1}, {2, 3, 4}}), 2);
  EXPECT_EQ(cores_for(1, {{0, 1}, {2, 3, 4}}), 3);
  EXPECT_EQ(cores_for(1, {{0, 1}, {0, 1}, {2, 3}}), 1);
}

TEST(CoresFor, IsAtLeastOne) {
  EXPECT_EQ(cores_for(2, {{0}, {0}, {0}}), 1);
}

TEST(ThreadsFrom, ReadsTheFirstLevel) {
  EXPECT_EQ(threads_from("4"), 4);
  EXPECT_EQ(threads_from("4,2"), 4);
  for (const char* bad : {"", "0", "-1", "x", "4x"}) EXPECT_FALSE(threads_from(bad)) << bad;
  EXPECT_FALSE(threads_from(nullptr));
}

TEST(ThreadsFrom, IsAtMostFourForEachCore) {
  const int most = 4 * static_cast<int>(sysconf(_SC_NPROCESSORS_CONF));
  for (const char* absurd : {"1000000", "2147483647", "99999999999999999999"}) EXPECT_EQ(threads_from(absurd), most);
}

TEST(DeviceOf, RanksTakeDevicesInTurn) {
  EXPECT_FALSE(device_of(0, 0));
  EXPECT_EQ(device_of(0, 4), 0);
  EXPECT_EQ(device_of(3, 4), 3);
  EXPECT_EQ(device_of(5, 4), 1);
}

TEST(Session, IsOneRankWithoutALauncher) {
  int argc = 0;
  char** argv = nullptr;
  ASSERT_FALSE(started_by_launcher());
  const Session session(argc, argv);
  EXPECT_EQ(session.world().size(), 1);
  EXPECT_EQ(session.ranks_on_node(), 1);
  EXPECT_EQ(session.rank_on_node(), 0);
  EXPECT_EQ(session.hosts().size(), 1u);
  EXPECT_GE(threads_of_this_rank(session), 1);
}

TEST(Session, RefusesSrunThatTellsRanksNothing) {
  int argc = 0;
  char** argv = nullptr;
  setenv("SLURM_PROCID", "1", 1), setenv("SLURM_STEP_NUM_TASKS", "4", 1);
  EXPECT_THROW(Session(argc, argv), Usage);
  setenv("SLURM_STEP_NUM_TASKS", "1", 1);
  EXPECT_NO_THROW(Session(argc, argv));
  unsetenv("SLURM_PROCID"), unsetenv("SLURM_STEP_NUM_TASKS");
}

}  // namespace
}  // namespace cmc::distributed
