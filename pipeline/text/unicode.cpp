#include "pipeline/text/unicode.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <sstream>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"

namespace cmc::text {
namespace {

utf8proc_category_t category(char32_t code_point) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code_point));
}

struct Range {
  char32_t first, last;
};

template <size_t count>
bool within(const Range (&ranges)[count], char32_t c) {  // ascending ranges
  const auto* found = std::lower_bound(std::begin(ranges), std::end(ranges), c,
                                       [](const Range& range, char32_t wanted) { return range.last < wanted; });
  return found != std::end(ranges) && found->first <= c;
}

// Code points with a decomposition, a combining class or a composition that came after Unicode 9, which is what the
// tokenizers library normalises by: it leaves them alone, and nothing moves or composes across them.
constexpr Range newer_than_unicode_9[] = {
    {0x7FD, 0x7FD},     {0x897, 0x89F},     {0x8CA, 0x8D3},     {0x9FE, 0x9FE},     {0xC3C, 0xC3C},
    {0xD3B, 0xD3C},     {0xEBA, 0xEBA},     {0xECE, 0xECE},     {0x1715, 0x1715},   {0x1ABF, 0x1AEB},
    {0x1DF6, 0x1DFA},   {0x32FF, 0x32FF},   {0xA7F1, 0xA7F4},   {0xA82C, 0xA82C},   {0xAB69, 0xAB69},
    {0x105C9, 0x105E4}, {0x10781, 0x10785}, {0x10787, 0x107B0}, {0x107B2, 0x107BA}, {0x10D24, 0x10D27},
    {0x10D69, 0x10D6D}, {0x10EAB, 0x10EAC}, {0x10EFA, 0x10EFF}, {0x10F46, 0x10F50}, {0x10F82, 0x10F85},
    {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x11383, 0x113E2}, {0x1145E, 0x1145E}, {0x11839, 0x1183A},
    {0x11935, 0x11938}, {0x1193D, 0x1193E}, {0x11943, 0x11943}, {0x119E0, 0x119E0}, {0x11A34, 0x11A34},
    {0x11A47, 0x11A47}, {0x11A99, 0x11A99}, {0x11D42, 0x11D42}, {0x11D44, 0x11D45}, {0x11D97, 0x11D97},
    {0x11F00, 0x11F03}, {0x11F41, 0x11F42}, {0x16121, 0x1612F}, {0x16D63, 0x16D6A}, {0x16FF0, 0x16FF1},
    {0x1CCD6, 0x1CCF9}, {0x1E030, 0x1E06D}, {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE},
    {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF}, {0x1E5EE, 0x1E5EF}, {0x1F16C, 0x1F16C}, {0x1FBF0, 0x1FBF9}};

bool is_newer(char32_t c) {
  return within(newer_than_unicode_9, c);
}

// PropList.txt: Other_Lowercase and Other_Uppercase, letters of a case by more than their category.
constexpr Range other_lower[] = {
    {0xAA, 0xAA},       {0xBA, 0xBA},       {0x2B0, 0x2B8},     {0x2C0, 0x2C1},    {0x2E0, 0x2E4},   {0x345, 0x345},
    {0x37A, 0x37A},     {0x10FC, 0x10FC},   {0x1D2C, 0x1D6A},   {0x1D78, 0x1D78},  {0x1D9B, 0x1DBF}, {0x2071, 0x2071},
    {0x207F, 0x207F},   {0x2090, 0x209C},   {0x2170, 0x217F},   {0x24D0, 0x24E9},  {0x2C7C, 0x2C7D}, {0xA69C, 0xA69D},
    {0xA770, 0xA770},   {0xA7F2, 0xA7F4},   {0xA7F8, 0xA7F9},   {0xAB5C, 0xAB5F},  {0xAB69, 0xAB69}, {0x10780, 0x10780},
    {0x10783, 0x10785}, {0x10787, 0x107B0}, {0x107B2, 0x107BA}, {0x1E030, 0x1E06D}};
constexpr Range other_upper[] = {
    {0x2160, 0x216F}, {0x24B6, 0x24CF}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}};

bool is_lower_case(char32_t c) {
  return category(c) == UTF8PROC_CATEGORY_LL || within(other_lower, c);
}
bool is_upper_case(char32_t c) {
  return category(c) == UTF8PROC_CATEGORY_LU || within(other_upper, c);
}
bool is_title_case(char32_t c) {
  return category(c) == UTF8PROC_CATEGORY_LT;
}

// Does not part a word into before and behind (Case_Ignorable: Unicode, 3.13).
bool is_case_ignorable(char32_t c) {
  constexpr std::u32string_view marks =
      U"':.\u00B7\u0387\u055F\u05F4\u2018\u2019\u2024\u2027\uFE13\uFE52\uFE55\uFF07\uFF0E\uFF1A";
  const auto of = category(c);
  return of == UTF8PROC_CATEGORY_MN || of == UTF8PROC_CATEGORY_ME || of == UTF8PROC_CATEGORY_CF ||
         of == UTF8PROC_CATEGORY_LM || of == UTF8PROC_CATEGORY_SK || marks.find(c) != std::u32string_view::npos;
}

bool is_cased(char32_t c) {
  return is_lower_case(c) || is_upper_case(c) || is_title_case(c);
}

// Whether a letter stands at `at` or behind what is ignored there.
bool word_goes_on(std::string_view text, size_t at) {
  while (at < text.size())
    if (const char32_t c = next_code_point(text, at); !is_case_ignorable(c)) return is_cased(c);
  return false;
}

std::string normalized_known(std::string_view text, utf8proc_option_t options) {
  utf8proc_uint8_t* made = nullptr;
  const auto length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                   static_cast<utf8proc_ssize_t>(text.size()), &made, options);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(made, &std::free);
  expect(length >= 0, "text to normalise is valid UTF-8");
  return {reinterpret_cast<const char*>(made), static_cast<size_t>(length)};
}

}  // namespace

std::string normalized(std::string_view text, NormalForm form) {
  int options = UTF8PROC_STABLE;
  options |= form == NormalForm::nfc || form == NormalForm::nfkc ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
  if (form == NormalForm::nfkc || form == NormalForm::nfkd) options |= UTF8PROC_COMPAT;
  std::string made;
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    if (!is_newer(next_code_point(text, at))) continue;
    made += normalized_known(text.substr(done, begin - done), static_cast<utf8proc_option_t>(options));
    made += text.substr(begin, at - begin);
    done = at;
  }
  return made + normalized_known(text.substr(done), static_cast<utf8proc_option_t>(options));
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
         of == UTF8PROC_CATEGORY_PC || c == 0x200C || c == 0x200D || (c >= 0x24B6 && c <= 0x24E9) ||
         (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

void append_lower(std::string& text, char32_t c) {
  if (c == 0x130) {  // the one code point whose lower case is two (SpecialCasing.txt)
    append_utf8(text, U'i');
    append_utf8(text, 0x307);
    return;
  }
  append_utf8(text, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
}

std::string python_lower(std::string_view text) {
  std::string lower;
  bool inside_word = false;  // a letter stands before, ignoring what is ignored
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (c == U'\u03A3')
      append_utf8(lower, inside_word && !word_goes_on(text, at) ? U'\u03C2' : U'\u03C3');
    else
      append_lower(lower, c);
    if (!is_case_ignorable(c)) inside_word = is_cased(c);
  }
  return lower;
}

namespace {

bool has_case(std::string_view text, bool (*wanted)(char32_t), bool (*other)(char32_t)) {
  bool any = false;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (other(c) || is_title_case(c)) return false;
    any = any || wanted(c);
  }
  return any;
}

}  // namespace

bool is_python_upper(std::string_view text) {
  return has_case(text, is_upper_case, is_lower_case);
}
bool is_python_lower(std::string_view text) {
  return has_case(text, is_lower_case, is_upper_case);
}

std::string unassigned_without(std::string_view newer) {
  std::vector<bool> free(0x110000);
  for (char32_t c = 0; c < free.size(); ++c) free[c] = category(c) == UTF8PROC_CATEGORY_CN;
  char32_t before = 0;
  for (size_t at = newer.find("\\x{"); at != std::string_view::npos; at = newer.find("\\x{", at + 1)) {
    const auto code = static_cast<char32_t>(std::stoul(std::string(newer.substr(at + 3, 6)), nullptr, 16));
    const char32_t first = at > 0 && newer[at - 1] == '-' ? before : code;
    for (char32_t c = first; c <= code && c < free.size(); ++c) free[c] = false;
    before = code;
  }
  std::ostringstream members;
  members << std::hex;
  for (char32_t c = 0; c < free.size(); ++c) {
    if (!free[c]) continue;
    const auto first = static_cast<uint32_t>(c);
    while (c + 1 < free.size() && free[c + 1]) ++c;
    members << "\\x{" << first << "}-\\x{" << static_cast<uint32_t>(c) << "}";
  }
  return members.str();
}

size_t grapheme_cluster(std::string_view text) {
  size_t at = 0;
  utf8proc_int32_t state = 0;
  auto last = static_cast<utf8proc_int32_t>(next_code_point(text, at));
  while (at < text.size()) {
    size_t end = at;
    const auto next = static_cast<utf8proc_int32_t>(next_code_point(text, end));
    if (utf8proc_grapheme_break_stateful(last, next, &state)) break;
    last = next;
    at = end;
  }
  return at;
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
