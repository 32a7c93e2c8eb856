#include "pipeline/core/log.hpp"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>

#include "pipeline/core/files.hpp"
#include "pipeline/core/status_line.hpp"

namespace cmc {
namespace {
// Once: each message would fail alike on a full disk. A log is not worth its run, whose own files tell better.
void go_on_without(const std::string& what) {
  static std::atomic<bool> told = false;
  if (!told.exchange(true)) std::fprintf(stderr, "warning no log: %s\n", what.c_str());
}

// Null where it cannot be opened.
std::shared_ptr<spdlog::sinks::basic_file_sink_mt> open_log(const std::filesystem::path& file) {
  try {
    create_folder(file.parent_path());
    return std::make_shared<spdlog::sinks::basic_file_sink_mt>(file.string());
  } catch (const std::exception& error) {
    go_on_without(error.what());
    return nullptr;
  }
}
}  // namespace

void start_log(const LogSettings& settings) {
  std::vector<spdlog::sink_ptr> sinks;
  if (settings.to_terminal) {
    const auto colour = std::getenv("NO_COLOR") ? spdlog::color_mode::never : spdlog::color_mode::automatic;
    auto terminal = std::make_shared<spdlog::sinks::stderr_color_sink_mt>(colour);
    terminal->set_pattern("%^%l%$ %v");
    sinks.push_back(terminal);
  }
  if (!settings.file.empty()) {
    if (const auto file = open_log(settings.file)) {
      file->set_pattern("%Y-%m-%dT%H:%M:%S.%e [%l] " + std::string("rank ") + std::to_string(settings.rank) + ": %v");
      sinks.push_back(file);
    }
  }
  auto logger = std::make_shared<spdlog::logger>("cmc", sinks.begin(), sinks.end());
  logger->flush_on(spdlog::level::info);
  logger->set_error_handler(go_on_without);
  spdlog::set_default_logger(logger);
}

// Programs that start no log of their own, as the tests' probes, answer on standard output, where spdlog's would write.
[[maybe_unused]] static const bool started = (start_log({}), true);

void write_log(LogLevel level, const std::string& message) {
  static constexpr spdlog::level::level_enum levels[] = {spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                                                         spdlog::level::err};
  const StatusLineAside aside;
  spdlog::default_logger_raw()->log(levels[static_cast<int>(level)], spdlog::string_view_t(message));
}

void write_warning_once(const std::string& message) {
  static std::mutex mutex;
  static std::set<std::string> said;
  const std::lock_guard lock(mutex);
  if (said.insert(message).second) write_log(LogLevel::warning, message);
}

void flush_log() {
  spdlog::default_logger_raw()->flush();
}

}  // namespace cmc
