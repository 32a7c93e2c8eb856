#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace cmc::text {

// RFC 4648, with padding. Nothing where `text` is not base64, or empty.
std::optional<std::string> bytes_of_base64(std::string_view text);
std::string base64_of_bytes(std::string_view bytes);

}  // namespace cmc::text
