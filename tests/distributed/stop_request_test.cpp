#include "pipeline/distributed/stop_request.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "pipeline/core/error.hpp"

namespace cmc::distributed {
namespace {
using std::chrono::seconds;
using std::chrono::system_clock;

TEST(StopRequest, EachSignalAsksOnce) {
  const std::pair<int, const char*> signals[] = {
      {SIGUSR2, "signal USR2"}, {SIGTERM, "signal TERM"}, {SIGINT, "signal INT"}};
  for (const auto& [signal, name] : signals) {
    const StopRequest request;
    EXPECT_FALSE(request.asked());
    EXPECT_EQ(request.reason(), "");
    raise(signal);
    EXPECT_TRUE(request.asked());
    EXPECT_EQ(request.reason(), name);
  }
}

TEST(StopRequest, ASecondInterruptEndsTheProcess) {
  EXPECT_EXIT(
      {
        const StopRequest request;
        raise(SIGINT);
        raise(SIGINT);
        _exit(0);
      },
      testing::ExitedWithCode(130), "");
}

TEST(StopRequest, RepeatedUsr2AndTermOnlyAsk) {
  const StopRequest request;
  for (int i = 0; i < 3; ++i) raise(SIGUSR2), raise(SIGTERM);
  EXPECT_TRUE(request.asked());
}

// A rank that is done waits for the merge of rank 0: Slurm's warning in that time must not kill the finished run.
TEST(StopRequest, SignalsDoNotEndAProcessThatHasEndedItsRun) {
  EXPECT_EXIT(
      {
        { const StopRequest request; }
        raise(SIGUSR2);
        raise(SIGTERM);
        raise(SIGINT);
        _exit(0);
      },
      testing::ExitedWithCode(0), "");
}

TEST(StopRequest, HearsASignalThatCameBeforeIt) {
  heed_stop_signals();
  raise(SIGUSR2);
  EXPECT_EQ(StopRequest().reason(), "signal USR2");
  EXPECT_EQ(StopRequest().reason(), "") << "answered by the one before";
}

TEST(StopRequest, AsksBeforeTheDeadline) {
  const StopRequest far(system_clock::now() + seconds(1000), 100);
  EXPECT_FALSE(far.asked());
  EXPECT_NEAR(far.seconds_left(), 900, 5);
}

TEST(StopRequest, TimeIsUpWithinTheReserve) {
  const StopRequest near(system_clock::now() + seconds(50), 100);
  EXPECT_TRUE(near.asked());
  EXPECT_EQ(near.seconds_left(), 0);
  EXPECT_EQ(near.reason(), "time limit");
}

TEST(StopRequest, ThereIsOneAtATime) {
  const StopRequest request;
  EXPECT_THROW(StopRequest(), Internal);
}

TEST(SlurmDeadline, ReadsTheJobsEnd) {
  unsetenv("SLURM_JOB_END_TIME");
  EXPECT_FALSE(slurm_deadline());
  setenv("SLURM_JOB_END_TIME", "4000000000", 1);
  EXPECT_EQ(slurm_deadline(), Deadline(seconds(4000000000)));
  for (const char* bad : {"", "soon", "-5", "12x", "1700000000", "99999999999", "99999999999999999999"}) {
    setenv("SLURM_JOB_END_TIME", bad, 1);
    EXPECT_FALSE(slurm_deadline()) << bad;
  }
  unsetenv("SLURM_JOB_END_TIME");
}

}  // namespace
}  // namespace cmc::distributed
