#include "pipeline/core/temporaries.hpp"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace cmc {
namespace {
namespace fs = std::filesystem;

constexpr std::string_view ending = ".tmp";

// Takes ".<number>" from the end of `name`; -1 when it does not end so.
long take_number(std::string_view& name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return -1;
  long number = -1;
  const auto [stop, error] = std::from_chars(name.data() + dot + 1, name.data() + name.size(), number);
  if (error != std::errc() || stop != name.data() + name.size()) return -1;
  name.remove_suffix(name.size() - dot);
  return number;
}

// A killed process that its parent has not asked about yet: it writes no more.
bool is_zombie(long pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string stat;
  std::getline(in, stat);
  const size_t name_end = stat.rfind(") ");
  return name_end != std::string::npos && stat.compare(name_end + 2, 1, "Z") == 0;
}

// ".<file>.<host>.<pid>.<n>.tmp" of a process of this host that is no more.
bool writer_is_gone(const fs::path& temporary) {
  const std::string text = temporary.filename().string();
  std::string_view name(text);
  name.remove_suffix(ending.size());
  const long count = take_number(name), pid = take_number(name);
  char host[64] = "host";
  ::gethostname(host, sizeof host - 1);
  if (count < 0 || pid <= 0 || !name.ends_with("." + std::string(host))) return false;
  return (::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH) || is_zombie(pid);
}

bool is_older_than_a_day(const fs::path& file) {
  std::error_code error;
  const auto written = fs::last_write_time(file, error);
  return !error && fs::file_time_type::clock::now() - written > std::chrono::hours(24);
}

std::vector<fs::path> abandoned_below(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied, error), end;
  for (; !error && entry != end; entry.increment(error)) {
    if (!is_temporary(entry->path())) continue;
    entry.disable_recursion_pending();
    if (writer_is_gone(entry->path()) || is_older_than_a_day(entry->path())) found.push_back(entry->path());
  }
  return found;
}

}  // namespace

bool is_temporary(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.starts_with('.') && name.ends_with(ending);
}

int remove_abandoned(const fs::path& folder) {
  int removed = 0;
  for (const fs::path& path : abandoned_below(folder)) {
    std::error_code error;
    const auto count = fs::remove_all(path, error);
    removed += !error && count > 0 ? 1 : 0;
  }
  return removed;
}

}  // namespace cmc
