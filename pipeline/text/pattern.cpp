#include "pipeline/text/pattern.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"
#include "pipeline/text/oniguruma.hpp"

namespace cmc::text {
namespace {

void find_literal(std::string_view text, std::string_view literal, std::vector<Span>& spans) {
  for (size_t at = text.find(literal); at != std::string_view::npos; at = text.find(literal, at + literal.size()))
    spans.push_back({at, at + literal.size()});
}

void find_regex(std::string_view text, const Pcre2Code& code, std::vector<Span>& spans) {
  Pcre2Search search(code, text);
  size_t last_end = std::string_view::npos;  // of the match before
  for (size_t at = 0; at <= text.size() && !text.empty();) {
    if (!search.find(at)) return;
    const Span span = search.span();
    at = span.end;
    if (span.begin < span.end || span.end != last_end) {
      spans.push_back(span);
      last_end = span.end;
    } else if (at < text.size()) {
      next_code_point(text, at);  // nothing, where the match before ended: go on behind the next character
    } else {
      return;
    }
  }
}

}  // namespace

Pattern::Pattern(const Json& description, const std::string& where) {
  if (description.is_object() && description.contains("String")) {
    literal_ = json_field<std::string>(description, "String", where);
    if (literal_.empty()) throw_bad_field(where, "String", "is empty");
  } else if (description.is_object() && description.contains("Regex")) {
    compile(json_field<std::string>(description, "Regex", where), where + ".Regex");
  } else {
    throw BadData({where, "is neither {\"String\": …} nor {\"Regex\": …}", "see the tokenizers library's Pattern"});
  }
}

Pattern Pattern::regex(const std::string& expression, const std::string& where) {
  Pattern pattern;
  pattern.compile(expression, where);
  return pattern;
}

void Pattern::compile(const std::string& expression, const std::string& where) {
  code_.emplace(pcre2_of_oniguruma(expression, where), PCRE2_MULTILINE, where,
                "give a regular expression in Oniguruma's syntax");
}

std::vector<Span> Pattern::find_all(std::string_view text) const {
  std::vector<Span> spans;
  if (code_)
    find_regex(text, *code_, spans);
  else
    find_literal(text, literal_, spans);
  return spans;
}

std::string Pattern::replace_all(std::string_view text, std::string_view content) const {
  std::string replaced;
  size_t done = 0;
  for (const auto& [begin, end] : find_all(text)) {
    replaced += text.substr(done, begin - done);
    replaced += content;
    done = end;
  }
  replaced += text.substr(done);
  return replaced;
}

bool Pattern::is_single_character() const {
  return !code_ && static_cast<size_t>(utf8_length(static_cast<unsigned char>(literal_[0]))) == literal_.size();
}

}  // namespace cmc::text
