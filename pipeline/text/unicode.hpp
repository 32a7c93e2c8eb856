#pragma once
#include <string>
#include <string_view>

namespace cmc::text {

enum class NormalForm { nfc, nfd, nfkc, nfkd };
std::string normalized(std::string_view text, NormalForm form);

bool is_white_space(char32_t code_point);                   // property White_Space
bool is_python_space(char32_t code_point);                  // str.isspace: White_Space and U+001C..U+001F
bool is_number(char32_t code_point);                        // general category N
bool is_punctuation(char32_t code_point);                   // general category P, and the ASCII symbols
bool is_word(char32_t code_point);                          // \w: letters, marks, decimal digits, connectors, joiners
void append_lower(std::string& text, char32_t code_point);  // full mapping: U+0130 gives two; newest letters stay

// What Python's str has: lower() of a whole text, whose capital sigma is ς at the end of a word; isupper() and
// islower(): at least one letter of that case, none of the other. `text` is valid UTF-8.
std::string python_lower(std::string_view text);
bool is_python_upper(std::string_view text);
bool is_python_lower(std::string_view text);

// Members of a PCRE2 set for the code points that are unassigned in this library's Unicode and not in `newer`: members
// like \x{1C89} and \x{A7CB}-\x{A7CC}, others are passed over.
std::string unassigned_without(std::string_view newer);

// Bytes of the first grapheme cluster (UAX 29) of `text`, which is not empty.
size_t grapheme_cluster(std::string_view text);

// `text` without the leading / trailing code points that `drop` holds for.
std::string_view strip_left(std::string_view text, bool (*drop)(char32_t));
std::string_view strip_right(std::string_view text, bool (*drop)(char32_t));

}  // namespace cmc::text
