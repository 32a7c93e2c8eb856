#pragma once
#include <string>
#include <string_view>

namespace cmc::ifeval {

// The language that most of a text is in, by CLD2: "en", "he", "zh-cn", as langdetect names it. "": the text has no
// letters to tell it by. `text`: valid UTF-8.
std::string language_of(std::string_view text);

// Whether it is in `language`; a text without letters is in every one, as in the authors' program.
bool is_in_language(std::string_view text, const std::string& language);

}  // namespace cmc::ifeval
