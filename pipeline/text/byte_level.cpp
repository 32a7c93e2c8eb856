#include "pipeline/text/byte_level.hpp"

#include <array>
#include <cstdint>

#include "pipeline/core/utf8.hpp"

namespace cmc::text {
namespace {

constexpr bool stands_for_itself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

struct Tables {
  std::array<std::string, 256> written;
  std::array<int16_t, 512> byte_of{};  // by code point; -1: none

  Tables() {
    byte_of.fill(-1);
    char32_t next = 256;
    for (int byte = 0; byte < 256; ++byte) {
      const char32_t code_point = stands_for_itself(byte) ? static_cast<char32_t>(byte) : next++;
      append_utf8(written[static_cast<size_t>(byte)], code_point);
      byte_of[code_point] = static_cast<int16_t>(byte);
    }
  }
};

const Tables& tables() {
  static const Tables made;
  return made;
}

}  // namespace

void append_byte_level(std::string& written, std::string_view bytes) {
  const auto& table = tables().written;
  for (const char byte : bytes) written += table[static_cast<unsigned char>(byte)];
}

std::optional<std::string> bytes_of_byte_level(std::string_view piece) {
  const auto& byte_of = tables().byte_of;
  std::string bytes;
  for (size_t at = 0; at < piece.size();) {
    const char32_t code_point = next_code_point(piece, at);
    if (code_point >= byte_of.size() || byte_of[code_point] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(byte_of[code_point]));
  }
  return bytes;
}

}  // namespace cmc::text
