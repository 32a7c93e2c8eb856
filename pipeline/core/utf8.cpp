#include "pipeline/core/utf8.hpp"

namespace cmc {
namespace {

// Bytes of the well-formed sequence at `at` (Unicode 15, table 3-7), or minus the length of the maximal invalid
// subpart. `cut` tells that the text ended inside a sequence that was well-formed so far.
int sequence_at(std::string_view text, size_t at, bool& cut) {
  cut = false;
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at);
  const int length = utf8_length(lead);
  if (length == 0) return -1;
  for (int i = 1; i < length; ++i) {
    if (at + i >= text.size()) {
      cut = true;
      return -i;
    }
    unsigned char low = 0x80, high = 0xBF;
    if (i == 1) {
      if (lead == 0xE0) low = 0xA0;
      if (lead == 0xED) high = 0x9F;
      if (lead == 0xF0) low = 0x90;
      if (lead == 0xF4) high = 0x8F;
    }
    if (byte(at + i) < low || byte(at + i) > high) return -i;
  }
  return length;
}

}  // namespace

int utf8_length(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 0;
}

char32_t next_code_point(std::string_view text, size_t& at) {
  bool cut;
  const int length = sequence_at(text, at, cut);
  if (length < 0) {
    ++at;
    return 0xFFFD;
  }
  static constexpr unsigned char mask[5] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  char32_t code_point = static_cast<unsigned char>(text[at]) & mask[length];
  for (int i = 1; i < length; ++i) code_point = (code_point << 6) | (static_cast<unsigned char>(text[at + i]) & 0x3F);
  at += static_cast<size_t>(length);
  return code_point;
}

void append_utf8(std::string& text, char32_t c) {
  const auto put = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | (c >> 6)), put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | (c >> 12)), put(0x80 | ((c >> 6) & 0x3F)), put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | (c >> 18)), put(0x80 | ((c >> 12) & 0x3F)), put(0x80 | ((c >> 6) & 0x3F)), put(0x80 | (c & 0x3F));
  }
}

size_t count_code_points(std::string_view text) {
  size_t count = 0;
  for (size_t at = 0; at < text.size(); ++count) next_code_point(text, at);
  return count;
}

bool is_valid_utf8(std::string_view text) {
  bool cut;
  for (size_t at = 0; at < text.size();) {
    const int length = sequence_at(text, at, cut);
    if (length < 0) return false;
    at += static_cast<size_t>(length);
  }
  return true;
}

size_t complete_utf8_prefix(std::string_view text) {
  bool cut;
  for (size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const size_t at = text.size() - back;
    if ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) continue;  // continuation: look further left
    sequence_at(text, at, cut);
    return cut ? at : text.size();
  }
  return text.size();
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string clean;
  bool cut;
  for (size_t at = 0; at < text.size();) {
    const int length = sequence_at(text, at, cut);
    if (length > 0)
      clean += text.substr(at, static_cast<size_t>(length));
    else
      append_utf8(clean, 0xFFFD);
    at += static_cast<size_t>(length > 0 ? length : -length);
  }
  return clean;
}

}  // namespace cmc
