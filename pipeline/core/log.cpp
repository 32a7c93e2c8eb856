#include "pipeline/core/log.hpp"

#include <spdlog/spdlog.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <cstdlib>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"

namespace cmc {
namespace {
std::shared_ptr<spdlog::sinks::basic_file_sink_mt> open_log(const std::filesystem::path& file) {
  try {
    return std::make_shared<spdlog::sinks::basic_file_sink_mt>(file.string());
  } catch (const spdlog::spdlog_ex& error) {
    throw CannotCreate({file.string(), error.what(), "check the path, its permissions and the space there"});
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
    create_folder(settings.file.parent_path());
    const auto file = open_log(settings.file);
    file->set_pattern("%Y-%m-%dT%H:%M:%S.%e [%l] " + std::string("rank ") + std::to_string(settings.rank) + ": %v");
    sinks.push_back(file);
  }
  auto logger = std::make_shared<spdlog::logger>("cmc", sinks.begin(), sinks.end());
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(logger);
}

void write_log(LogLevel level, const std::string& message) {
  static constexpr spdlog::level::level_enum levels[] = {spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                                                         spdlog::level::err};
  spdlog::default_logger_raw()->log(levels[static_cast<int>(level)], spdlog::string_view_t(message));
}

void flush_log() { spdlog::default_logger_raw()->flush(); }

}  // namespace cmc
