#include "stages/serving/line_input.hpp"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "pipeline/core/error.hpp"

namespace cmc::stages {
namespace {

constexpr int patience = 200;  // ms

[[noreturn]] void fail() {
  throw IoError({"standard input", std::string("cannot be read: ") + std::strerror(errno), "check the pipe"});
}

}  // namespace

bool LineInput::read_more() {
  pollfd ready{descriptor_, POLLIN, 0};
  int found = 0;
  while (found == 0) {
    keep_on_();
    found = poll(&ready, 1, patience);
    if (found < 0 && errno != EINTR) fail();
    if (found < 0) found = 0;
  }
  std::array<char, 1 << 16> bytes;
  const ssize_t count = read(descriptor_, bytes.data(), bytes.size());
  if (count < 0 && errno != EINTR && errno != EAGAIN) fail();
  if (count > 0) buffer_.append(bytes.data(), static_cast<size_t>(count));
  return count != 0;
}

std::optional<std::string> LineInput::next() {
  size_t searched = 0;
  for (;;) {
    const size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos || (ended_ && !buffer_.empty())) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end == std::string::npos ? end : end + 1);
      return line;
    }
    if (ended_) return std::nullopt;
    searched = buffer_.size();
    ended_ = !read_more();
  }
}

}  // namespace cmc::stages
