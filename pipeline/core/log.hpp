#pragma once
#include <spdlog/spdlog.h>

#include <filesystem>

namespace cmc {

struct LogSettings {
  int rank = 0;
  bool to_terminal = true;         // stderr; rank 0 only by custom
  std::filesystem::path file = {};  // empty: no file
};

// Sets the process-wide spdlog default logger; call once, after that use spdlog::info(...) and friends.
void start_log(const LogSettings& settings);

}  // namespace cmc
