#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace cmc::checkpoint {

struct ZipEntry {
  uint64_t begin = 0, end = 0;  // of its content, bytes in the file
  bool compressed = false;
};
using ZipDirectory = std::map<std::string, ZipEntry, std::less<>>;

// The entries of a zip archive (APPNOTE 6.3, with zip64). What is not compressed, as torch.save leaves it, can be used
// where it lies. Throws BadData naming `where`: malformed, cut off, encrypted, a name twice.
ZipDirectory read_zip_directory(std::string_view bytes, const std::string& where);

}  // namespace cmc::checkpoint
