#pragma once
#include <filesystem>
#include <string_view>

namespace cmc {

// Writes a file that a user named, whatever stands there. A file of this user's own is replaced in one step
// (publish_file) and keeps its permissions. What is somebody else's stays what it is and is written through: a link's
// target, a device, another user's file, a FIFO (whose reader is waited for, 10 s). Throws CannotCreate for a folder
// and what cannot be written to, IoError.
void write_named_file(const std::filesystem::path& file, std::string_view bytes);

}  // namespace cmc
