#include "pipeline/core/files.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pipeline/core/error.hpp"
#include "pipeline/core/file_lock.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/core/temporaries.hpp"

namespace cmc {
namespace {

class Files : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::remove_all(folder), std::filesystem::create_directories(folder); }
  void TearDown() override { std::filesystem::remove_all(folder); }
  std::filesystem::path folder = testing::TempDir() + "/cmc_files_" + std::to_string(::getpid());
};

TEST_F(Files, PublishReplacesWholeAndLeavesNothingBehind) {
  publish_file(folder / "a.txt", "old");
  publish_file(folder / "a.txt", "new");
  EXPECT_EQ(read_file(folder / "a.txt"), "new");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
}

TEST_F(Files, PublishFolderKeepsTheFirst) {
  for (const char* content : {"first", "second"})
    publish_folder(folder / "m", [&](const auto& into) { publish_file(into / "f", content); });
  EXPECT_EQ(read_file(folder / "m/f"), "first");
}

TEST_F(Files, FailedFillLeavesNoFolder) {
  EXPECT_THROW(publish_folder(folder / "m", [](const auto&) { throw IoError({"f", "full", ""}); }), IoError);
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST_F(Files, ALockIsSeenAsLongAsItIsHeld) {
  const auto file = folder / "logs/run/.lock";
  EXPECT_FALSE(FileLock::is_held(file)) << "there is no such file";
  {
    const auto lock = FileLock::take(file);
    ASSERT_TRUE(lock);
    EXPECT_TRUE(FileLock::is_held(file));
    EXPECT_FALSE(FileLock::is_held(file, 1)) << "another byte's lock is another one";
    EXPECT_TRUE(FileLock::is_held(file)) << "looking releases nothing";
    EXPECT_FALSE(FileLock::take(file));
  }
  EXPECT_FALSE(FileLock::is_held(file));
  EXPECT_TRUE(FileLock::take(file));
}

TEST_F(Files, WhatKilledWritersLeftIsRemovedAtAnyDepth) {
  char host[64] = {};
  ::gethostname(host, sizeof host - 1);
  const std::string gone = std::string(".") + host + ".2147483646.0.tmp";
  const auto folder_left = folder / "checkpoints" / (".model" + gone);
  for (const auto& left :
       {folder / (".results.h5" + gone), folder / "units/ab" / (".key.h5" + gone), folder_left / "weights"})
    publish_file(left, "half");
  const auto mine = temporary_beside(folder / "units/ab/key.h5"),
             elsewhere = folder / ".plan.json.other-host.2147483646.0.tmp";
  const auto odd = folder / ".notes.tmp";
  for (const auto& kept : {mine, elsewhere, odd, folder / "results.h5"}) publish_file(kept, "in work");
  EXPECT_EQ(remove_abandoned(folder), 3);
  EXPECT_FALSE(std::filesystem::exists(folder_left));
  for (const auto& kept : {mine, elsewhere, odd, folder / "results.h5"})
    EXPECT_TRUE(std::filesystem::exists(kept)) << kept;
  EXPECT_EQ(remove_abandoned(folder / "absent"), 0);
}

TEST_F(Files, AZombieWritesNoMore) {
  char host[64] = {};
  ::gethostname(host, sizeof host - 1);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  siginfo_t ended;
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT), 0);
  publish_file(folder / (std::string(".key.h5.") + host + "." + std::to_string(child) + ".0.tmp"), "half");
  EXPECT_EQ(remove_abandoned(folder), 1);
  ::waitpid(child, nullptr, 0);
}

TEST_F(Files, UnwritablePlaceIsCannotCreate) {
  publish_file(folder / "file", "");
  try {
    publish_file(folder / "file/child", "x");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::cannot_create);
  }
}

TEST_F(Files, BadJsonLineNamesFileAndLine) {
  publish_file(folder / "d.jsonl", "{\"a\":1}\n\nnot json\n");
  try {
    read_json_records(folder / "d.jsonl", [](const Json&, const std::string&) {});
    FAIL();
  } catch (const BadData& e) {
    EXPECT_NE(std::string(e.what()).find("d.jsonl:3"), std::string::npos) << e.what();
  }
}

TEST(Hash, MatchesThePublishedVector) {
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");  // FIPS 180-2 B.1
  EXPECT_NE(seed_of({"a", "bc"}), seed_of({"ab", "c"})) << "parts must not run together";
}

}  // namespace
}  // namespace cmc
