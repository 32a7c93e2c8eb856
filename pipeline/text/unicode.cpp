#include "pipeline/text/unicode.hpp"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"

namespace cmc::text {
namespace {

utf8proc_category_t category(char32_t code_point) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code_point));
}

}  // namespace

std::string normalized(std::string_view text, NormalForm form) {
  int options = UTF8PROC_STABLE;
  options |= form == NormalForm::nfc || form == NormalForm::nfkc ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
  if (form == NormalForm::nfkc || form == NormalForm::nfkd) options |= UTF8PROC_COMPAT;
  utf8proc_uint8_t* made = nullptr;
  const auto length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &made, static_cast<utf8proc_option_t>(options));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(made, &std::free);
  expect(length >= 0, "text to normalise is valid UTF-8");
  return {reinterpret_cast<const char*>(made), static_cast<size_t>(length)};
}

bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_python_space(char32_t c) {
  return is_white_space(c) || (c >= 0x1C && c <= 0x1F);
}

bool is_number(char32_t c) {
  const auto of = category(c);
  return of == UTF8PROC_CATEGORY_ND || of == UTF8PROC_CATEGORY_NL || of == UTF8PROC_CATEGORY_NO;
}

bool is_punctuation(char32_t c) {
  if (c < 0x80)
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
  const auto of = category(c);
  return of >= UTF8PROC_CATEGORY_PC && of <= UTF8PROC_CATEGORY_PO;
}

bool is_word(char32_t c) {
  const auto of = category(c);
  return (of >= UTF8PROC_CATEGORY_LU && of <= UTF8PROC_CATEGORY_ND) || of == UTF8PROC_CATEGORY_NL ||
         of == UTF8PROC_CATEGORY_PC || c == 0x200C || c == 0x200D;
}

bool is_nonspacing_mark(char32_t c) {
  return category(c) == UTF8PROC_CATEGORY_MN;
}

void append_lower(std::string& text, char32_t c) {
  if (c == 0x130) {  // the one code point whose lower case is two (SpecialCasing.txt)
    append_utf8(text, U'i');
    append_utf8(text, 0x307);
    return;
  }
  append_utf8(text, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
}

std::string_view strip_left(std::string_view text, bool (*drop)(char32_t)) {
  size_t start = 0;
  for (size_t at = 0; at < text.size(); start = at)
    if (!drop(next_code_point(text, at))) break;
  return text.substr(start);
}

std::string_view strip_right(std::string_view text, bool (*drop)(char32_t)) {
  size_t end = text.size();
  while (end > 0) {
    size_t start = end - 1;
    while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
    size_t at = start;
    if (!drop(next_code_point(text, at))) break;
    end = start;
  }
  return text.substr(0, end);
}

}  // namespace cmc::text
