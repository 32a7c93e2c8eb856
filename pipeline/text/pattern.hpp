#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/core/json.hpp"
#include "pipeline/text/pcre2_code.hpp"

namespace cmc::text {

// What a tokenizer.json calls a pattern: {"String": "…"} or {"Regex": "…"}, the latter in Oniguruma's dialect.
// Immutable; safe to share between threads.
class Pattern {
 public:
  // Throws BadData naming `where`: neither of the two, an empty string, or a regular expression that does not compile.
  Pattern(const Json& description, const std::string& where);
  static Pattern regex(const std::string& expression, const std::string& where);

  // Non-overlapping matches from left to right. `text` is valid UTF-8.
  std::vector<Span> find_all(std::string_view text) const;
  std::string replace_all(std::string_view text, std::string_view content) const;

  // A literal of one code point can be replaced chunk by chunk.
  bool is_single_character() const;

 private:
  Pattern() = default;
  void compile(const std::string& expression, const std::string& where);

  std::string literal_;  // used when there is no code
  std::optional<Pcre2Code> code_;
};

}  // namespace cmc::text
