#include "pipeline/text/python_pattern.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <cctype>

#include "pipeline/core/error.hpp"

namespace cmc::text {
namespace {

constexpr const char* python_space =
    "\\t-\\r\\x1C-\\x1F \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}";
constexpr const char* python_word = "\\p{L}\\p{N}_";

// From Python's dialect to PCRE2's, which has more escapes and reads some as something else.
class FromPython {
 public:
  FromPython(const std::string& expression, const std::string& where) : from_(expression), where_(where) {}

  std::string translate() {
    while (at_ < from_.size()) step();
    return std::move(to_);
  }

 private:
  char ahead(size_t by) const { return at_ + by < from_.size() ? from_[at_ + by] : '\0'; }

  void take(size_t count) {
    to_ += from_.substr(at_, count);
    at_ += count;
  }

  void step() {
    if (from_[at_] == '\\') return escape();
    if (in_set_) return member();
    if (from_[at_] == '(') return group();
    if (from_[at_] == '{') return repeat();
    if (from_[at_] == '[') return open_set();
    take(1);
  }

  void open_set() {
    take(ahead(1) == '^' ? 2 : 1);
    in_set_ = true;
    if (ahead(0) != ']') return;
    to_ += "\\]";
    ++at_;
  }

  void member() {
    if (from_[at_] == ']') in_set_ = false;
    if (from_[at_] == '[') to_ += '\\';  // no class of POSIX
    take(1);
  }

  void group() {
    if (ahead(1) == '*') refuse("(*");
    if (ahead(1) != '?') return take(1);
    for (const std::string_view known : {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?P<", "(?P=", "(?#"})
      if (from_.compare(at_, known.size(), known) == 0) return take(known.size());
    size_t end = at_ + 2;
    while (end < from_.size() && std::string_view("ims-").find(from_[end]) != std::string_view::npos) ++end;
    if (end == at_ + 2 || end >= from_.size() || (from_[end] != ')' && from_[end] != ':')) refuse(from_.substr(at_, 3));
    take(end - at_);
  }

  // {,n}, and what is no repetition.
  void repeat() {
    size_t end = at_ + 1;
    while (end < from_.size() && (std::isdigit(static_cast<unsigned char>(from_[end])) || from_[end] == ',')) ++end;
    const std::string body = from_.substr(at_ + 1, end - at_ - 1);
    const bool counts = end < from_.size() && from_[end] == '}' && !body.empty() && body.find(',') == body.rfind(',');
    if (!counts) {
      to_ += "\\{";
      ++at_;
      return;
    }
    to_ += body == "," ? "{0,}" : body[0] == ',' ? "{0" + body + "}" : "{" + body + "}";
    at_ = end + 1;
  }

  void escape() {
    const char kind = ahead(1);
    if (kind == '\0') refuse("a backslash at its end");
    if (kind == 'w' || kind == 's' || kind == 'W' || kind == 'S') return set_of(kind);
    if (kind == 'u' || kind == 'U') return code_point(kind == 'u' ? 4 : 8);
    at_ += 2;
    if (kind == 'v')
      to_ += "\\x0B";
    else if (kind == 'b' && in_set_)
      to_ += "\\x08";
    else if (kind == 'b' && !in_set_)
      to_ += word_edge(true);
    else if (kind == 'B' && !in_set_)
      to_ += word_edge(false);
    else if (kind == 'Z' && !in_set_)
      to_ += "\\z";
    else if (is_shared(kind))
      (to_ += '\\') += kind;
    else
      refuse(std::string("\\") + kind);
  }

  // What both mean alike: other characters than letters, digits, and these.
  bool is_shared(char kind) const {
    const auto c = static_cast<unsigned char>(kind);
    if (c >= 0x80 || !std::isalpha(c)) return true;
    return std::string_view(in_set_ ? "afnrtxdD" : "afnrtxdDA").find(kind) != std::string_view::npos;
  }

  static std::string word_edge(bool at_edge) {
    const std::string word = std::string("[") + python_word + "]";
    const std::string in = "(?<=" + word + ")", out = "(?<!" + word + ")", on = "(?=" + word + ")",
                      off = "(?!" + word + ")";
    return at_edge ? "(?:" + in + off + "|" + out + on + ")" : "(?:" + in + on + "|" + out + off + ")";
  }

  void set_of(char kind) {
    const std::string members = std::tolower(kind) == 'w' ? python_word : python_space;
    const bool negated = std::isupper(static_cast<unsigned char>(kind)) != 0;
    at_ += 2;
    if (!in_set_)
      to_ += (negated ? "[^" : "[") + members + "]";
    else if (!negated)
      to_ += members;
    else
      refuse(std::string("\\") + kind + " in a set");
  }

  void code_point(size_t digits) {
    const std::string hex = from_.substr(std::min(at_ + 2, from_.size()), digits);
    if (hex.size() != digits || hex.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
      refuse(from_.substr(at_, 2) + " without " + std::to_string(digits) + " digits");
    to_ += "\\x{" + hex + "}";
    at_ += 2 + digits;
  }

  [[noreturn]] void refuse(const std::string& what) const {
    throw BadData({where_, "uses " + what + ", which is no regular expression of this reader: " + from_,
                   "write it with plain characters, sets and groups, as Python's re has them"});
  }

  const std::string& from_;
  const std::string& where_;
  std::string to_;
  size_t at_ = 0;
  bool in_set_ = false;
};

constexpr unsigned python_options(LetterCase letters) {
  return PCRE2_ALT_CIRCUMFLEX | (letters == LetterCase::ignored ? unsigned{PCRE2_CASELESS} : 0U);
}

}  // namespace

PythonPattern::PythonPattern(const std::string& expression, LetterCase letters, const std::string& where)
    : code_(FromPython(expression, where).translate(), python_options(letters), where,
            "give a regular expression as Python's re reads it") {}

bool PythonPattern::occurs_in(std::string_view text) const {
  return Pcre2Search(code_, text).find(0);
}

// After an empty match the next one may begin at the same place, but must not be empty there.
template <class Take>
void PythonPattern::each_match(std::string_view text, Take take) const {
  Pcre2Search search(code_, text);
  unsigned options = 0;
  for (size_t at = 0; at <= text.size() && search.find(at, options);) {
    const Span span = search.span();
    options = span.begin == span.end ? unsigned{PCRE2_NOTEMPTY_ATSTART} : 0U;
    at = span.end;
    take(search);
  }
}

std::vector<Span> PythonPattern::find_all(std::string_view text) const {
  std::vector<Span> spans;
  each_match(text, [&](const Pcre2Search& match) { spans.push_back(match.span()); });
  return spans;
}

std::vector<std::string_view> PythonPattern::split(std::string_view text) const {
  std::vector<std::string_view> parts;
  size_t done = 0;
  for (const auto& [begin, end] : find_all(text)) {
    parts.push_back(text.substr(done, begin - done));
    done = end;
  }
  parts.push_back(text.substr(done));
  return parts;
}

std::string PythonPattern::replace_all(std::string_view text, std::string_view put) const {
  std::string replaced;
  size_t done = 0;
  each_match(text, [&](const Pcre2Search& match) {
    replaced += text.substr(done, match.span().begin - done);
    for (size_t i = 0; i < put.size(); ++i) {
      const bool is_group = put[i] == '\\' && i + 1 < put.size() && put[i + 1] >= '1' && put[i + 1] <= '9';
      const size_t group = is_group ? static_cast<size_t>(put[++i] - '0') : 0;
      if (!is_group)
        replaced += put[i];
      else if (const Span span = match.span(group); group <= match.groups() && span.begin <= text.size())
        replaced += text.substr(span.begin, span.end - span.begin);
    }
    done = match.span().end;
  });
  return replaced += text.substr(done);
}

}  // namespace cmc::text
