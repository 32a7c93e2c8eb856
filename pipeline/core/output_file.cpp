#include "pipeline/core/output_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "pipeline/core/error.hpp"

namespace cmc {
namespace {
namespace fs = std::filesystem;

// Calls again what a signal interrupted.
template <class Call>
auto retried(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// Not called again: after EINTR the descriptor is closed already (Linux), and may belong to another thread's file.
void close_checked(int descriptor, const fs::path& name) {
  if (::close(descriptor) < 0 && errno != EINTR) throw_file_error(name, "close", errno);
}

void sync_path(const fs::path& path, int flags, const fs::path& name) {
  const int descriptor = retried([&] { return ::open(path.c_str(), flags | O_CLOEXEC); });
  if (descriptor < 0) throw_file_error(name, "sync", errno);
  if (retried([&] { return ::fsync(descriptor); }) < 0 && errno != EINVAL) {  // EINVAL: this filesystem has no sync
    const int error = errno;
    ::close(descriptor);
    throw_file_error(name, "sync", error);
  }
  close_checked(descriptor, name);
}
}  // namespace

void throw_file_error(const fs::path& file, const char* doing, int error) {
  const Problem problem{file.string(), std::string("cannot ") + doing + ": " + std::strerror(error),
                        error == ENOSPC || error == EDQUOT ? "make space, then run again: what is finished stays"
                                                           : "check the path and its permissions"};
  if (error == EACCES || error == EROFS || error == ENOENT || error == ENOTDIR || error == EPERM)
    throw CannotCreate(problem);
  throw IoError(problem);
}

OutputFile::OutputFile(const fs::path& file, const fs::path& name) : name_(name) {
  descriptor_ = retried([&] { return ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644); });
  if (descriptor_ < 0) throw_file_error(name_, "create", errno);
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void OutputFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = retried([&] { return ::write(descriptor_, bytes.data(), bytes.size()); });
    if (written <= 0) throw_file_error(name_, "write", written < 0 ? errno : EIO);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

void OutputFile::finish() {
  if (retried([&] { return ::fsync(descriptor_); }) < 0 && errno != EINVAL) throw_file_error(name_, "sync", errno);
  close_checked(std::exchange(descriptor_, -1), name_);
}

void sync_file(const fs::path& file, const fs::path& name) {
  sync_path(file, O_RDONLY, name);
}

void sync_folder(const fs::path& folder, const fs::path& name) {
  sync_path(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY, name);
}

int try_rename(const fs::path& from, const fs::path& to) {
  return retried([&] { return std::rename(from.c_str(), to.c_str()); }) < 0 ? errno : 0;
}

void rename_into_place(const fs::path& temporary, const fs::path& file) {
  if (const int error = try_rename(temporary, file)) throw_file_error(file, "rename into place", error);
}

}  // namespace cmc
