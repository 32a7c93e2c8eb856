#pragma once
#include <filesystem>
#include <optional>
#include <utility>

#include <sys/types.h>

namespace cmc {

// A lock of the operating system on one byte of a file, which all processes that share the file respect, also over NFS.
// It ends with its process, however that ends, and leaves nothing to clean up. Of the open file, not of the process:
// two threads exclude each other too, and closing another descriptor of the file does not release it.
class FileLock {
 public:
  // Nothing while another holds it; where the filesystem has no locks, every one is granted. Makes the file and its
  // folder where they are missing. Throws CannotCreate or IoError.
  static std::optional<FileLock> take(const std::filesystem::path& file, off_t byte = 0);
  // False also where that cannot be told: no such file, no locks.
  static bool is_held(const std::filesystem::path& file, off_t byte = 0);

  FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileLock& operator=(FileLock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

}  // namespace cmc
