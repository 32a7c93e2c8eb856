#include "pipeline/text/pattern.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"
#include "pipeline/text/oniguruma.hpp"

namespace cmc::text {
namespace {

using MatchData = std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)>;

std::string message_of(int error) {
  char text[256];
  pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(text), sizeof text);
  return text;
}

void find_literal(std::string_view text, std::string_view literal, std::vector<Span>& spans) {
  for (size_t at = text.find(literal); at != std::string_view::npos; at = text.find(literal, at + literal.size()))
    spans.push_back({at, at + literal.size()});
}

void find_regex(std::string_view text, const pcre2_code* code, std::vector<Span>& spans) {
  const MatchData data(pcre2_match_data_create_from_pattern(code, nullptr), &pcre2_match_data_free);
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  size_t last_end = std::string_view::npos;  // of the match before
  for (size_t at = 0; at <= text.size() && !text.empty();) {
    int found = pcre2_match(code, subject, text.size(), at, PCRE2_NO_UTF_CHECK, data.get(), nullptr);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT)  // the interpreter has the heap
      found = pcre2_match(code, subject, text.size(), at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data.get(), nullptr);
    if (found == PCRE2_ERROR_NOMATCH) return;
    if (found < 0)
      throw BadData({"tokenizer.json: pre_tokenizer", "a pattern cannot be matched: " + message_of(found),
                     "simplify the pattern; it backtracks without bound"});
    const size_t* ends = pcre2_get_ovector_pointer(data.get());
    const Span span{ends[0], std::max(ends[0], ends[1])};
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
  const std::string translated = pcre2_of_oniguruma(expression, where);
  int error = 0;
  size_t at = 0;
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &at, nullptr);
  if (code == nullptr)
    throw BadData({where,
                   "does not compile: " + message_of(error) + " at offset " + std::to_string(at) + " of " + translated,
                   "give a regular expression in Oniguruma's syntax"});
  code_ = std::shared_ptr<const void>(
      code, [](const void* p) { pcre2_code_free(static_cast<pcre2_code*>(const_cast<void*>(p))); });
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // where there is no JIT, pcre2_match interprets
}

std::vector<Span> Pattern::find_all(std::string_view text) const {
  std::vector<Span> spans;
  if (code_)
    find_regex(text, static_cast<const pcre2_code*>(code_.get()), spans);
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
