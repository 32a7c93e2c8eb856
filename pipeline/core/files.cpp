#include "pipeline/core/files.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/core/output_file.hpp"

namespace cmc {
namespace {
namespace fs = std::filesystem;

// Folders that do not exist, deepest first, up to one that does.
std::vector<fs::path> missing_folders(fs::path folder) {
  std::vector<fs::path> missing;
  std::error_code error;
  for (; !folder.empty() && !fs::exists(folder, error) && !error; folder = folder.parent_path())
    missing.push_back(folder);
  return missing;
}

// What is not there, or may not be opened, is missing; anything else is the disk's fault.
[[noreturn]] void throw_unreadable(const fs::path& file, int error) {
  if (error == ENOENT) throw MissingInput({file.string(), "does not exist", "check the path"});
  const std::string what = std::string("cannot be opened: ") + std::strerror(error);
  if (error == EIO || error == ESTALE || error == EMFILE || error == ENFILE || error == ENOMEM)
    throw IoError({file.string(), what, "check the disk"});
  throw MissingInput({file.string(), what, "check the path and its permissions"});
}

// What a name that should be a file's may be besides would be waited for, or read, for ever.
void refuse_unless_it_ends(int fd, const fs::path& file) {
  struct stat facts = {};
  if (::fstat(fd, &facts) != 0) throw IoError({file.string(), "cannot be looked at", "check the disk"});
  const auto refuse = [&](const char* what) { throw MissingInput({file.string(), what, "give the file itself"}); };
  if (S_ISDIR(facts.st_mode)) refuse("is a folder, not a file");
  const bool is_null = S_ISCHR(facts.st_mode) && facts.st_rdev == makedev(1, 3);
  if (S_ISBLK(facts.st_mode) || (S_ISCHR(facts.st_mode) && !is_null && !::isatty(fd))) refuse("is a device");
  if (!S_ISFIFO(facts.st_mode)) return;
  pollfd readable = {fd, POLLIN, 0};
  constexpr int patience = 10'000;  // ms
  if (::poll(&readable, 1, patience) == 0) refuse("is a FIFO that nobody writes to");
}

int open_readable(const fs::path& file) {
  int fd;
  do fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  while (fd < 0 && errno == EINTR);
  if (fd < 0) throw_unreadable(file, errno);
  try {
    refuse_unless_it_ends(fd, file);
  } catch (...) {
    ::close(fd);
    throw;
  }
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK);
  return fd;
}
}  // namespace

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error) || error;
}

std::string read_file(const fs::path& file) {
  const int fd = open_readable(file);
  std::string bytes;
  char block[1 << 16];
  for (;;) {
    const ssize_t n = ::read(fd, block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error = errno;
      ::close(fd);
      throw IoError({file.string(), std::string("cannot read: ") + std::strerror(error), "check the disk"});
    }
    if (n == 0) break;
    bytes.append(block, static_cast<size_t>(n));
  }
  ::close(fd);
  return bytes;
}

fs::path temporary_beside(const fs::path& file) {
  static std::atomic<unsigned> counter{0};
  char host[64] = "host";
  ::gethostname(host, sizeof host - 1);
  return file.parent_path() / ("." + file.filename().string() + "." + host + "." + std::to_string(::getpid()) + "." +
                               std::to_string(counter++) + ".tmp");
}

void publish_file(const fs::path& file, std::string_view bytes) {
  create_folder(file.parent_path());
  const fs::path temporary = temporary_beside(file);
  try {
    OutputFile out(temporary, file);
    out.write(bytes);
    out.finish();
    rename_into_place(temporary, file);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_folder(file.parent_path(), file);
}

void publish_filled_folder(const fs::path& temporary, const fs::path& folder) {
  try {
    for (const auto& entry : fs::recursive_directory_iterator(temporary))
      entry.is_directory() ? sync_folder(entry.path(), folder) : sync_file(entry.path(), folder);
    sync_folder(temporary, folder);
    const int error = try_rename(temporary, folder);
    if (error == EEXIST || error == ENOTEMPTY)
      fs::remove_all(temporary);  // another process published the same content first
    else if (error != 0)
      throw_file_error(folder, "rename into place", error);
  } catch (const fs::filesystem_error& error) {
    throw_file_error(folder, "publish the folder", error.code().value());
  }
  sync_folder(folder.parent_path(), folder);
}

void create_folder(const fs::path& folder) {
  if (folder.empty()) return;
  const auto missing = missing_folders(folder);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw_file_error(folder, "create the folder", error.value());
  try {
    for (const fs::path& made : missing)
      sync_folder(made.parent_path(), folder);  // else what is in it could be lost with it
  } catch (...) {
    for (const fs::path& made : missing) ::rmdir(made.c_str());  // deepest first; one that others use already stays
    throw;
  }
}

}  // namespace cmc
