#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cmc::text {

// SentencePiece's byte tokens: "<0x0A>".
inline std::string byte_piece(int byte) {
  static constexpr char digit[] = "0123456789ABCDEF";
  return std::string("<0x") + digit[byte >> 4] + digit[byte & 15] + ">";
}

// Appends a token for each byte of `text`; false, and nothing appended, where a byte has none (-1).
inline bool append_byte_ids(std::string_view text, const std::array<int32_t, 256>& byte_ids,
                            std::vector<int32_t>& ids) {
  for (const char byte : text)
    if (byte_ids[static_cast<unsigned char>(byte)] < 0) return false;
  for (const char byte : text) ids.push_back(byte_ids[static_cast<unsigned char>(byte)]);
  return true;
}

}  // namespace cmc::text
