#include "pipeline/core/named_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/output_file.hpp"

namespace cmc {
namespace {
namespace fs = std::filesystem;

constexpr std::chrono::seconds patience(10);

// Opening a FIFO that nobody reads would wait for ever.
int open_fifo(const fs::path& file) {
  const auto end = std::chrono::steady_clock::now() + patience;
  int descriptor = -1;
  while ((descriptor = ::open(file.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0 &&
         (errno == ENXIO || errno == EINTR)) {
    if (std::chrono::steady_clock::now() > end)
      throw CannotCreate({file.string(), "is a FIFO that nobody reads", "start its reader first"});
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  if (descriptor >= 0) ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) & ~O_NONBLOCK);
  return descriptor;
}

void write_through(const fs::path& file, bool is_fifo, std::string_view bytes) {
  const int descriptor =
      is_fifo ? open_fifo(file) : ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0644);
  if (descriptor < 0) throw_file_error(file, "open for writing", errno);
  OutputFile out(descriptor, file);
  out.write(bytes);
  out.finish();
}

}  // namespace

void write_named_file(const fs::path& file, std::string_view bytes) {
  struct stat own = {}, meant = {};
  if (::lstat(file.c_str(), &own) != 0) return publish_file(file, bytes);
  const bool leads_on = ::stat(file.c_str(), &meant) == 0;
  if (leads_on && S_ISDIR(meant.st_mode))
    throw CannotCreate({file.string(), "is a folder", "give the name of a file in it"});
  if (!S_ISREG(own.st_mode) || own.st_uid != ::geteuid())
    return write_through(file, leads_on && S_ISFIFO(meant.st_mode), bytes);
  publish_file(file, bytes);
  ::chmod(file.c_str(), own.st_mode & 07777);
}

}  // namespace cmc
