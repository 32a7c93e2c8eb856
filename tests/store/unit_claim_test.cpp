#include "pipeline/store/unit_claim.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "pipeline/core/error.hpp"
#include "tests/store/support_units.hpp"

namespace cmc::store {
namespace {

class UnitClaimTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(folder); }
  // Whether another process gets the claim.
  bool free_for_others(const std::string& key) const {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(UnitClaim::take(folder, key) ? 0 : 1);
    int status = 0;
    ::waitpid(child, &status, 0);
    return WEXITSTATUS(status) == 0;
  }
  const std::filesystem::path folder = testing::TempDir() + "/cmc_claims_" + std::to_string(::getpid());
  const UnitStore store{folder};
  const std::string key = sha256("a"), other = sha256("b");
};

TEST_F(UnitClaimTest, OneHolderAtATime) {
  {
    const auto held = UnitClaim::take(folder, key);
    ASSERT_TRUE(held);
    EXPECT_FALSE(UnitClaim::take(folder, key)) << "in this process";
    EXPECT_FALSE(free_for_others(key));
    EXPECT_TRUE(free_for_others(other)) << "another task's claim is another's";
  }
  EXPECT_TRUE(free_for_others(key));
  EXPECT_TRUE(store.keys().empty()) << "the lock file is no unit";
}

TEST_F(UnitClaimTest, AKilledHolderHoldsNothing) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t holder = ::fork();
  if (holder == 0) {
    const auto held = UnitClaim::take(folder, key);
    if (::write(ready[1], held ? "y" : "n", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char got = 'n';
  ASSERT_EQ(::read(ready[0], &got, 1), 1);
  ASSERT_EQ(got, 'y');
  EXPECT_FALSE(UnitClaim::take(folder, key));
  ::kill(holder, SIGKILL);
  ::waitpid(holder, nullptr, 0);
  EXPECT_TRUE(UnitClaim::take(folder, key));
}

TEST_F(UnitClaimTest, WhoWaitsFindsTheUnitDone) {
  auto held = UnitClaim::take(folder, key);
  int waits = 0;
  std::optional<UnitClaim> got = UnitClaim::unlocked();
  std::jthread waiting([&] { got = claim_unless_done(store, key, {.first_wait = [&] { ++waits; }}); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  store.publish(testing_units::everything("a"));
  held.reset();
  waiting.join();
  EXPECT_FALSE(got) << "nothing is left to compute";
  EXPECT_EQ(waits, 1);
}

TEST_F(UnitClaimTest, AHolderThatFailsLeavesTheTaskToWhoWaits) {
  auto held = UnitClaim::take(folder, key);
  std::optional<UnitClaim> got;
  std::jthread waiting([&] { got = claim_unless_done(store, key, {}); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  held.reset();
  waiting.join();
  EXPECT_TRUE(got);
  EXPECT_FALSE(free_for_others(key));
}

TEST_F(UnitClaimTest, PatienceAndAStopEndTheWait) {
  const auto held = UnitClaim::take(folder, key);
  EXPECT_TRUE(claim_unless_done(store, key, {.patience_seconds = 0.05})) << "a frozen holder stops nobody for ever";
  EXPECT_THROW(claim_unless_done(store, key, {.stop = [] { return true; }}), Stopped);
}

}  // namespace
}  // namespace cmc::store
