#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace cmc {

// Whole file as bytes, also of a pipe or a terminal. Throws MissingInput (a folder, another device, a FIFO that nobody
// writes to for 10 s, too) or IoError naming it.
std::string read_file(const std::filesystem::path& file);

// Whether anything stands there: also what reading will refuse, as a link that leads nowhere but to itself.
bool is_there(const std::filesystem::path& path);

// All or nothing: writes a temporary beside `file`, syncs it, renames it, syncs the folder. A reader sees the old or
// the new content, never a part. Throws CannotCreate or IoError (74 on a full disk) and leaves no temporary behind.
void publish_file(const std::filesystem::path& file, std::string_view bytes);

// The same for a folder: `fill(temporary)` writes into a temporary folder, every file is synced, then it is renamed to
// `folder`. When `folder` exists already (another process was first), the temporary is dropped.
template <class Fill>
void publish_folder(const std::filesystem::path& folder, Fill fill);

// create_directories that throws CannotCreate.
void create_folder(const std::filesystem::path& folder);

// A name no other process uses, beside `file` (starts with '.', so listings of finished work pass it by).
std::filesystem::path temporary_beside(const std::filesystem::path& file);
void publish_filled_folder(const std::filesystem::path& temporary, const std::filesystem::path& folder);

template <class Fill>
void publish_folder(const std::filesystem::path& folder, Fill fill) {
  const auto temporary = temporary_beside(folder);
  create_folder(temporary);
  try {
    fill(temporary);
    publish_filled_folder(temporary, folder);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove_all(temporary, ignored);
    throw;
  }
}

}  // namespace cmc
