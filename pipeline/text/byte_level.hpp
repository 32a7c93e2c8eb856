#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace cmc::text {

// GPT-2's written form of bytes (Radford et al. 2019, encoder.py bytes_to_unicode): each byte is one printable
// character, a space is "Ġ", a newline "Ċ".
void append_byte_level(std::string& written, std::string_view bytes);

// The bytes a piece stands for; nothing where a character of it is outside the 256.
std::optional<std::string> bytes_of_byte_level(std::string_view piece);

}  // namespace cmc::text
