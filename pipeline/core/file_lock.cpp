#include "pipeline/core/file_lock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "pipeline/core/files.hpp"
#include "pipeline/core/output_file.hpp"

namespace cmc {
namespace {

int open_retrying(const std::filesystem::path& file, int flags) {
  int descriptor;
  do descriptor = ::open(file.c_str(), flags | O_CLOEXEC, 0644);
  while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

struct flock write_lock(off_t byte) {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  return lock;
}

}  // namespace

std::optional<FileLock> FileLock::take(const std::filesystem::path& file, off_t byte) {
  create_folder(file.parent_path());
  FileLock taken(open_retrying(file, O_RDWR | O_CREAT));
  if (taken.descriptor_ < 0) throw_file_error(file, "open", errno);
  auto lock = write_lock(byte);
  if (::fcntl(taken.descriptor_, F_OFD_SETLK, &lock) != 0 && (errno == EAGAIN || errno == EACCES)) return std::nullopt;
  return taken;
}

bool FileLock::is_held(const std::filesystem::path& file, off_t byte) {
  const FileLock seen(open_retrying(file, O_RDONLY));
  auto lock = write_lock(byte);
  return seen.descriptor_ >= 0 && ::fcntl(seen.descriptor_, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace cmc
