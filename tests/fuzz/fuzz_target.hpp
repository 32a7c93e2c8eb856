#pragma once
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"

// What the fuzz targets share. Each target is one file with LLVMFuzzerTestOneInput, for libFuzzer or for driver.cpp.
namespace cmc::fuzz {

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// The input as a file called `name` in a folder of this process.
inline std::filesystem::path as_file(std::string_view bytes, const std::string& name) {
  static const std::filesystem::path folder = [] {
    auto made = std::filesystem::temp_directory_path() / ("cmc-fuzz-" + std::to_string(::getpid()));
    std::filesystem::create_directories(made);
    std::atexit([] {
      std::filesystem::remove_all(std::filesystem::temp_directory_path() / ("cmc-fuzz-" + std::to_string(::getpid())));
    });
    return made;
  }();
  std::ofstream(folder / name, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return folder / name;
}

inline int taken = 0;                // how many readers took their input
inline bool tells_refusals = false;  // on standard error

// Runs a reader. It may take the input or refuse it as bad with a readable message; all else, such as an error that
// blames the disk or ourselves, ends the process.
template <class Read>
int reads_or_refuses(Read read) {
  try {
    read();
    ++taken;
  } catch (const Error& error) {
    const ExitCode code = error.code();
    const bool refused = code == ExitCode::bad_data || code == ExitCode::missing_input || code == ExitCode::refused ||
                         code == ExitCode::bad_experiment;
    if (tells_refusals) std::fprintf(stderr, "refused (%d): %s\n", static_cast<int>(code), error.what());
    if (refused && is_valid_utf8(error.what()) && !error.problem().where.empty()) return 0;
    std::fprintf(stderr, "exit code %d: %s\n", static_cast<int>(code), error.what());
    std::abort();
  }
  return 0;
}

}  // namespace cmc::fuzz
