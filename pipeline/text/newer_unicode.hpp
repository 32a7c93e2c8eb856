#pragma once
#include <string>
#include <vector>

namespace cmc::text {

// A Unicode property as the tokenizers library's regular expressions know it (Oniguruma, Unicode 16), in members of a
// PCRE2 set: what PCRE2 (10.42: Unicode 14) knows itself, and the code points that came later.
struct UnicodeProperty {
  std::string name;   // of a general category ("Lu") or script ("Han"), or a longer name
  std::string base;   // "\\p{Lu}"; empty where PCRE2 does not know it
  std::string newer;  // "\\x{1C89}\\x{A7CB}-\\x{A7CC}"
};

const std::vector<UnicodeProperty>& unicode_properties();

}  // namespace cmc::text
