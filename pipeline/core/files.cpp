#include "pipeline/core/files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "pipeline/core/error.hpp"

namespace cmc {
namespace {
namespace fs = std::filesystem;

[[noreturn]] void throw_errno(const fs::path& file, const char* doing, int error) {
  const Problem problem{file.string(), std::string("cannot ") + doing + ": " + std::strerror(error),
                        error == ENOSPC || error == EDQUOT ? "make space, then run again: what is finished stays"
                                                           : "check the path and its permissions"};
  if (error == EACCES || error == EROFS || error == ENOENT || error == ENOTDIR || error == EPERM) throw CannotCreate(problem);
  throw IoError(problem);
}

// Owns a descriptor; close errors are reported by close_checked (a full NFS or quota may show only there).
class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags, mode_t mode = 0644) : path_(path) {
    do fd_ = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    while (fd_ < 0 && errno == EINTR);
    if (fd_ < 0) throw_errno(path, "open", errno);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { if (fd_ >= 0) ::close(fd_); }

  void write_all(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw_errno(path_, "write", errno);
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }
  void sync() {
    int rc;
    do rc = ::fsync(fd_);
    while (rc < 0 && errno == EINTR);
    if (rc < 0 && errno != EINVAL) throw_errno(path_, "sync", errno);
  }
  void close_checked() {
    const int fd = std::exchange(fd_, -1);
    if (::close(fd) < 0 && errno != EINTR) throw_errno(path_, "close", errno);
  }

 private:
  fs::path path_;
  int fd_ = -1;
};

void sync_path(const fs::path& path, int flags) {
  Descriptor d(path, flags);
  d.sync();
  d.close_checked();
}

void sync_folder(const fs::path& folder) { sync_path(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY); }
}  // namespace

std::string read_file(const fs::path& file) {
  if (!fs::exists(file)) throw MissingInput({file.string(), "does not exist", "check the path"});
  if (fs::is_directory(file)) throw MissingInput({file.string(), "is a folder, not a file", "give the file itself"});
  int fd;
  do fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  while (fd < 0 && errno == EINTR);
  if (fd < 0) throw MissingInput({file.string(), std::string("cannot be opened: ") + std::strerror(errno), "check its permissions"});
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
    Descriptor out(temporary, O_WRONLY | O_CREAT | O_EXCL);
    out.write_all(bytes);
    out.sync();
    out.close_checked();
    if (::rename(temporary.c_str(), file.c_str()) != 0) throw_errno(file, "rename into place", errno);
    sync_folder(file.parent_path());
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

void publish_filled_folder(const fs::path& temporary, const fs::path& folder) {
  for (const auto& entry : fs::recursive_directory_iterator(temporary))
    sync_path(entry.path(), entry.is_directory() ? O_RDONLY | O_DIRECTORY : O_RDONLY);
  sync_folder(temporary);
  if (::rename(temporary.c_str(), folder.c_str()) != 0) {
    if (errno != EEXIST && errno != ENOTEMPTY) throw_errno(folder, "rename into place", errno);
    fs::remove_all(temporary);  // another process published the same content first
  }
  sync_folder(folder.parent_path());
}

void create_folder(const fs::path& folder) {
  if (folder.empty()) return;
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw_errno(folder, "create the folder", error.value());
}

}  // namespace cmc
