#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/text/pcre2_code.hpp"

namespace cmc::text {

enum class LetterCase { exact, ignored };  // ignored: re.IGNORECASE

// A regular expression that means what it means to Python's `re` on str: its \w, \s, \d and \b, its escapes, an empty
// match beside another, "$" before a last line end. PCRE2 decides differently in these alone: two letters of Turkish,
// which `re` takes for i where case is ignored (U+0130, U+0131), and \1 for σ behind ς; code points that one of the two
// does not know yet; a lookbehind of several widths, which `re` refuses; \B in no text. Immutable; safe to share
// between threads.
class PythonPattern {
 public:
  // Throws BadData naming `where`: what does not compile, or what `re` has and this has not ((?x), (?a), (?L)).
  PythonPattern(const std::string& expression, LetterCase letters, const std::string& where);

  // `text` is valid UTF-8. Each throws BadData naming `where` where the pattern backtracks without bound.
  bool occurs_in(std::string_view text) const;                       // re.search
  std::vector<Span> find_all(std::string_view text) const;           // re.finditer
  std::vector<std::string_view> split(std::string_view text) const;  // re.split, for patterns without groups
  // re.sub; `put`: a text in which \1 to \9 stand for groups.
  std::string replace_all(std::string_view text, std::string_view put) const;

 private:
  template <class Take>
  void each_match(std::string_view text, Take take) const;
  Pcre2Code code_;
};

}  // namespace cmc::text
