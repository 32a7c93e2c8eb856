#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace cmc {

// Length in bytes of the UTF-8 sequence that starts with `lead`: 1 to 4; 0 for a byte that starts none.
int utf8_length(unsigned char lead);

// Reads one code point at `at` and moves past it. An invalid byte gives U+FFFD and moves by one.
char32_t next_code_point(std::string_view text, size_t& at);
void append_utf8(std::string& text, char32_t code_point);

// Number of code points (invalid bytes count one each).
size_t count_code_points(std::string_view text);
bool is_valid_utf8(std::string_view text);

// Longest prefix of `text` that does not end inside a character (an invalid byte is not "inside" one).
size_t complete_utf8_prefix(std::string_view text);

// Each invalid sequence replaced by U+FFFD, as Rust's from_utf8_lossy does (one per maximal invalid subpart).
std::string replace_invalid_utf8(std::string_view text);

}  // namespace cmc
