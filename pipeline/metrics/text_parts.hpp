#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace cmc::metrics {

// How the rules and health checks cut a text up. White space and case are ASCII's; a byte of a longer UTF-8 character
// is a letter without case.

inline bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
inline bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
inline bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
inline bool is_letter(char c) {
  return is_upper(c) || is_lower(c) || static_cast<unsigned char>(c) >= 0x80;
}
inline bool is_word_character(char c) {
  return is_letter(c) || (c >= '0' && c <= '9') || c == '_';
}

std::string_view stripped(std::string_view text);
std::string lowered(std::string_view text);
std::vector<std::string_view> words_of(std::string_view text);
std::vector<std::string_view> lines_of(std::string_view text);

}  // namespace cmc::metrics
