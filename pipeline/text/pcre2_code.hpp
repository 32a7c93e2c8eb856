#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace cmc::text {

struct Span {
  size_t begin = 0, end = 0;  // bytes
};

// A compiled PCRE2 expression over UTF-8 text. Immutable; safe to share between threads.
class Pcre2Code {
 public:
  // `options`: of pcre2_compile, beside UTF and UCP. Line ends are "\n" alone. `where` and `remedy` are for the BadData
  // that is thrown where it does not compile, or later cannot be matched.
  Pcre2Code(const std::string& expression, unsigned options, std::string where, const std::string& remedy);

 private:
  friend class Pcre2Search;
  std::shared_ptr<const void> code_;
  std::string where_;
};

// Searches one text, match by match.
class Pcre2Search {
 public:
  // `text` is valid UTF-8; both must outlive the search.
  Pcre2Search(const Pcre2Code& code, std::string_view text);

  // Whether a match begins at byte `at` or later; `options`: of pcre2_match. Throws BadData where the pattern
  // backtracks without bound.
  bool find(size_t at, unsigned options = 0);
  // Of the match: the whole, or a group (from 1 on; empty at npos: it took no part).
  Span span(size_t group = 0) const;
  size_t groups() const;

 private:
  const Pcre2Code& code_;
  std::string_view text_;
  std::unique_ptr<void, void (*)(void*)> data_;
};

}  // namespace cmc::text
