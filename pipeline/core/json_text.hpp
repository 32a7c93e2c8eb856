#pragma once
#include <string>
#include <string_view>

namespace cmc {

// Before text from outside is parsed as JSON: throws BadData naming `where` when it holds a NUL byte, at which the
// parser would stop as if the text ended there, or is nested deeper than any of our formats, on which copying would
// overflow the stack.
void check_json_text(std::string_view text, const std::string& where);

}  // namespace cmc
