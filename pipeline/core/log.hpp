#pragma once
#include <filesystem>
#include <sstream>
#include <string>

namespace cmc {

struct LogSettings {
  int rank = 0;
  bool to_terminal = true;  // stderr
  std::filesystem::path file =
      {};  // empty: no file. One that cannot be written is warned of on stderr, once, and left out
};

// Sets up the process-wide log, which begins as LogSettings{}; call once more to change it. NO_COLOR is honoured. The
// library behind it (spdlog) stays in log.cpp: its fmt headers and those inside LibTorch do not go together in one
// translation unit.
void start_log(const LogSettings& settings);

enum class LogLevel { debug, info, warning, error };
void write_log(LogLevel level, const std::string& message);
void flush_log();

// log_info("step ", 3, " of ", 10)
template <class... Parts>
std::string joined(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}
template <class... Parts>
void log_info(const Parts&... parts) {
  write_log(LogLevel::info, joined(parts...));
}
template <class... Parts>
void log_warning(const Parts&... parts) {
  write_log(LogLevel::warning, joined(parts...));
}
// What is found again each time that a file is read: said the first time only.
void write_warning_once(const std::string& message);
template <class... Parts>
void log_warning_once(const Parts&... parts) {
  write_warning_once(joined(parts...));
}
template <class... Parts>
void log_error(const Parts&... parts) {
  write_log(LogLevel::error, joined(parts...));
}

}  // namespace cmc
