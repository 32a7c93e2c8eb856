#include "pipeline/core/status_line.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string_view>

#include "pipeline/core/utf8.hpp"

namespace cmc {
namespace {

struct Shown {
  std::mutex mutex;
  std::string text;
};
Shown& shown() {
  static Shown line;
  return line;
}

size_t terminal_width() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

// So many code points of it; the last column stays free, as terminals break a line that fills it.
std::string_view cut(std::string_view text, size_t width) {
  size_t end = 0;
  for (size_t count = 0; count + 1 < width && end < text.size(); ++count) next_code_point(text, end);
  return text.substr(0, end);
}

void draw(const std::string& text) {
  const auto fitting = cut(text, terminal_width());
  std::fprintf(stderr, "\r\033[K%.*s", static_cast<int>(fitting.size()), fitting.data());
  std::fflush(stderr);
}

}  // namespace

bool has_status_line() {
  static const bool has = [] {
    const char* kind = std::getenv("TERM");
    return ::isatty(STDERR_FILENO) != 0 && !(kind && std::string_view(kind) == "dumb");
  }();
  return has;
}

void show_status_line(const std::string& text) {
  if (!has_status_line()) return;
  const std::lock_guard lock(shown().mutex);
  if (!shown().text.empty() || !text.empty()) draw(text);
  shown().text = text;
}

StatusLineAside::StatusLineAside() {
  shown().mutex.lock();
  if (!shown().text.empty()) draw("");
}

StatusLineAside::~StatusLineAside() {
  if (!shown().text.empty()) draw(shown().text);
  shown().mutex.unlock();
}

}  // namespace cmc
