#include "pipeline/core/child_process.hpp"

#include <gtest/gtest.h>

#include <chrono>

#include "pipeline/core/date.hpp"
#include "pipeline/core/error.hpp"

namespace cmc {
namespace {

using namespace std::chrono_literals;

TEST(ChildProcess, AnswersLineByLine) {
  ChildProcess echo({"cat"}, {});
  const std::string large(3'000'000, 'x');  // more than a socket holds
  for (const std::string& line : {std::string("one"), std::string(), large, std::string("last")})
    EXPECT_EQ(echo.ask(line, 20s, 1 << 22), line);
  EXPECT_EQ(echo.ending(), "");
}

TEST(ChildProcess, SeesTheEnvironmentItIsGiven) {
  setenv("CMC_TEST_CHILD", "old", 1);
  ChildProcess shell({"sh", "-c", "read line; echo \"$CMC_TEST_CHILD $1\"", "sh", "a b; c"},
                     {{"CMC_TEST_CHILD", "new"}});
  EXPECT_EQ(shell.ask("", 20s, 1000), "new a b; c") << "arguments are no shell's";
}

TEST(ChildProcess, SaysHowItEnded) {
  ChildProcess fails({"sh", "-c", "read line; echo reason >&2; exit 3"}, {});
  EXPECT_EQ(fails.ask("", 20s, 1000), std::nullopt);
  EXPECT_EQ(fails.ending(), "ended with status 3");
  EXPECT_EQ(fails.errors(), "reason\n");
  EXPECT_EQ(fails.ask("", 20s, 1000), std::nullopt) << "it stays ended";
  ChildProcess killed({"sh", "-c", "read line; kill -9 $$"}, {});
  EXPECT_EQ(killed.ask("", 20s, 1000), std::nullopt);
  EXPECT_NE(killed.ending().find("signal 9"), std::string::npos) << killed.ending();
}

TEST(ChildProcess, IsNotWaitedForWithoutEnd) {
  const auto start = std::chrono::steady_clock::now();
  ChildProcess silent({"sleep", "100"}, {});
  EXPECT_EQ(silent.ask("", 1s, 1000), std::nullopt);
  EXPECT_EQ(silent.ending(), "did not answer within 1 s");
  ChildProcess talks({"yes", std::string(1000, 'y')}, {});
  EXPECT_TRUE(talks.ask("", 20s, 1 << 20));
  ChildProcess never_ends({"sh", "-c", "while :; do printf xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done"},
                          {});
  EXPECT_EQ(never_ends.ask("", 20s, 10'000), std::nullopt);
  EXPECT_NE(never_ends.ending().find("more than 10000 bytes"), std::string::npos);
  ChildProcess noisy({"sh", "-c", "yes >&2 & read line; sleep 0.2; echo done; kill $!"}, {});
  EXPECT_EQ(noisy.ask("", 20s, 1000), "done");
  EXPECT_LT(noisy.errors().size(), 1u << 16);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 20s);
}

TEST(ChildProcess, NamesAProgramThatIsNotThere) {
  try {
    ChildProcess nobody({"/nowhere/program"}, {});
    FAIL();
  } catch (const MissingInput& error) {
    EXPECT_EQ(error.problem().where, "/nowhere/program");
  }
}

TEST(Date, IsADayOfTheCalendar) {
  for (const char* day : {"2024-07-26", "2024-02-29", "1000-01-01", "9999-12-31", pinned_date})
    EXPECT_TRUE(is_date(day));
  for (const char* other : {"", "2024-7-26", "2023-02-29", "2024-13-01", "2024-00-10", "26 Jul 2024", "0999-01-01",
                            "2024-07-26 ", "2024/07/26", "-024-07-26", "2024-+7-26"})
    EXPECT_FALSE(is_date(other)) << other;
}

}  // namespace
}  // namespace cmc
