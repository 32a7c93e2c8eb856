#pragma once
#include <string>

namespace cmc::text {

// A regular expression of the tokenizers library (Oniguruma, Ruby syntax, Unicode 16) in PCRE2's dialect. Differences
// that matter for pre-tokenizers: \s is White_Space (PCRE2 adds U+180E), {n,m}+ is repeated and not possessive, \h is a
// hexadecimal digit, and \p{…} is a script (PCRE2: its extensions) and must know what is newer than PCRE2's Unicode 14.
// Throws BadData naming `where` for nested sets, set intersections and properties that it does not know.
std::string pcre2_of_oniguruma(const std::string& expression, const std::string& where);

}  // namespace cmc::text
