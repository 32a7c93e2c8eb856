// What stands where a user wants a file is written through or refused, never replaced unless it is the user's own file.
#include "pipeline/core/named_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <future>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"

namespace cmc {
namespace {

class NamedFile : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::remove_all(folder), std::filesystem::create_directories(folder); }
  void TearDown() override { std::filesystem::remove_all(folder); }
  mode_t mode_of(const std::string& name) const {
    struct stat status = {};
    ::lstat((folder / name).c_str(), &status);
    return status.st_mode;
  }
  std::filesystem::path folder = testing::TempDir() + "/cmc_named_" + std::to_string(::getpid());
};

TEST_F(NamedFile, OwnFilesAreReplacedAndKeepTheirPermissions) {
  write_named_file(folder / "a", "first");
  ::chmod((folder / "a").c_str(), 0600);
  write_named_file(folder / "a", "2");
  EXPECT_EQ(read_file(folder / "a"), "2");
  EXPECT_EQ(mode_of("a"), S_IFREG | 0600);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
}

TEST_F(NamedFile, LinksStayAndLeadOn) {
  publish_file(folder / "there", "old and longer");
  std::filesystem::create_symlink("there", folder / "link");
  std::filesystem::create_symlink("new", folder / "dangling");
  write_named_file(folder / "link", "x");
  write_named_file(folder / "dangling", "y");
  EXPECT_TRUE(S_ISLNK(mode_of("link")) && S_ISLNK(mode_of("dangling")));
  EXPECT_EQ(read_file(folder / "there"), "x");
  EXPECT_EQ(read_file(folder / "new"), "y");
}

TEST_F(NamedFile, ADeviceStaysADevice) {
  std::filesystem::create_symlink("/dev/null", folder / "null");
  write_named_file(folder / "null", "x");
  write_named_file("/dev/null", "x");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  EXPECT_TRUE(S_ISLNK(mode_of("null")));
  if (::geteuid() != 0 || ::mknod((folder / "device").c_str(), S_IFCHR | 0666, 259) != 0) return;  // 1:3, as /dev/null
  write_named_file(folder / "device", "x");
  EXPECT_TRUE(S_ISCHR(mode_of("device")));
}

TEST_F(NamedFile, AFifoHasAReaderThatGetsAll) {
  const auto fifo = folder / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const std::string much(300000, 'x');
  auto reader = std::async(std::launch::async, [&] { return read_file(fifo); });
  write_named_file(fifo, much);
  EXPECT_EQ(reader.get(), much);
  EXPECT_TRUE(S_ISFIFO(mode_of("fifo")));
}

TEST_F(NamedFile, WhatCannotBeWrittenToIsRefused) {
  EXPECT_THROW(write_named_file(folder, "x"), CannotCreate);
  std::filesystem::create_symlink(folder, folder / "to_folder");
  EXPECT_THROW(write_named_file(folder / "to_folder", "x"), CannotCreate);
  std::filesystem::create_symlink("loop", folder / "loop");
  EXPECT_THROW(write_named_file(folder / "loop", "x"), Error);
  EXPECT_TRUE(S_ISLNK(mode_of("loop")));
}

TEST_F(NamedFile, AnotherUsersFileStaysTheirs) {
  if (::geteuid() != 0) return;  // only root can make one
  publish_file(folder / "theirs", "old");
  ASSERT_EQ(::chown((folder / "theirs").c_str(), 65534, 65534), 0);
  write_named_file(folder / "theirs", "x");
  struct stat status = {};
  ::lstat((folder / "theirs").c_str(), &status);
  EXPECT_EQ(status.st_uid, 65534u);
  EXPECT_EQ(read_file(folder / "theirs"), "x");
}

}  // namespace
}  // namespace cmc
