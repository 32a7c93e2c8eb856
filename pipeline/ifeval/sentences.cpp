#include "pipeline/ifeval/sentences.hpp"

#include <algorithm>
#include <array>

#include "pipeline/core/utf8.hpp"
#include "pipeline/data/record.hpp"
#include "pipeline/text/python_pattern.hpp"
#include "pipeline/text/unicode.hpp"

namespace cmc::ifeval {
namespace {

// Usual abbreviations behind which a sentence goes on: titles, names of firms, places and months, hours.
constexpr auto abbreviations = std::to_array<std::string_view>(
    {"a.m", "adm",  "aug", "ave", "bros", "calif", "co",  "col",  "corp", "d.c", "dec", "dr",  "feb",  "fla",
     "fri", "ft",   "ga",  "gen", "ill",  "inc",   "jan", "jr",   "l.a",  "lt",  "ltd", "maj", "mr",   "mrs",
     "ms",  "n.y",  "nov", "oct", "ok",   "p.m",   "pa",  "ph.d", "prof", "rep", "sen", "sep", "sept", "sr",
     "st",  "tues", "u.k", "u.n", "u.s",  "u.s.a", "va",  "vs",   "wash", "wed", "yr"});

// Words that are written with a small letter within a sentence: in capitals they begin one.
constexpr auto common_words = std::to_array<std::string_view>(
    {"a",       "after",  "all",    "also", "although", "an",  "and",   "another", "are",  "as",   "at",    "be",
     "because", "before", "both",   "but",  "by",       "can", "do",    "does",    "each", "for",  "from",  "he",
     "her",     "here",   "his",    "how",  "however",  "i",   "if",    "in",      "is",   "it",   "its",   "let",
     "many",    "more",   "most",   "my",   "no",       "not", "now",   "of",      "on",   "one",  "or",    "other",
     "our",     "over",   "please", "she",  "since",    "so",  "some",  "such",    "that", "the",  "their", "then",
     "there",   "these",  "they",   "this", "those",    "to",  "under", "we",      "what", "when", "where", "which",
     "while",   "who",    "why",    "with", "yes",      "yet", "you",   "your"});

template <size_t count>
bool holds(const std::array<std::string_view, count>& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

bool is_one_of(std::string_view set, std::string_view text, size_t at) {
  return at < text.size() && set.find(text[at]) != std::string_view::npos;
}

bool is_space_at(std::string_view text, size_t at) {
  return at < text.size() && text::is_python_space(next_code_point(text, at));
}

size_t behind_space(std::string_view text, size_t at) {
  while (is_space_at(text, at)) next_code_point(text, at);
  return at;
}

// From the last white space before `end` on, without opening quotes and brackets.
std::string_view word_before(std::string_view text, size_t end) {
  size_t begin = 0;
  for (size_t at = 0; at < end;)
    if (text::is_python_space(next_code_point(text, at))) begin = at;
  while (begin < end && is_one_of("\"'([{*_`", text, begin)) ++begin;
  return text.substr(begin, end - begin);
}

// What the word at `at` is like; marks before it left out.
struct Following {
  bool is_lower = false, is_common = false;  // is_common: in capitals, and one of common_words
};

Following following(std::string_view text, size_t at) {
  while (is_one_of("\"'([{*_`", text, at)) ++at;
  const size_t begin = at;
  bool is_upper = false;
  Following word;
  while (at < text.size()) {
    const size_t before = at;
    const char32_t c = next_code_point(text, at);
    std::string letter;
    append_utf8(letter, c);
    if (before == begin) word.is_lower = text::is_python_lower(letter), is_upper = text::is_python_upper(letter);
    if (!text::is_word(c)) {
      at = before;
      break;
    }
  }
  word.is_common = is_upper && holds(common_words, text::python_lower(text.substr(begin, at - begin)));
  return word;
}

bool is_number(std::string_view word) {
  return !word.empty() &&
         std::ranges::all_of(word, [](char c) { return (c >= '0' && c <= '9') || c == ',' || c == '.'; });
}

// Whether the full stop at `stop` ends a sentence, when `next` follows it.
bool full_stop_ends(std::string_view text, size_t stop, const Following& next) {
  const auto word = word_before(text, stop);
  if (word.ends_with('.')) return next.is_common;  // an ellipsis
  if (is_number(word)) return !next.is_lower;
  if (count_code_points(word) == 1) return next.is_common;
  return !holds(abbreviations, text::python_lower(word)) || next.is_common;
}

// Behind the sentence whose last mark stands before `end`: its closing marks, where white space follows them.
size_t behind_closing(std::string_view text, size_t end) {
  size_t at = end;
  while (is_one_of("\"')]}", text, at)) ++at;
  return at == text.size() || is_space_at(text, at) || text.substr(at, 2) == "--" ? at : end;
}

// Whether the sentence may end at this mark, by what stands behind it.
bool may_end(std::string_view text, size_t mark) {
  const size_t next = mark + 1;
  if (is_space_at(text, next)) return behind_space(text, next) < text.size();
  return is_one_of(")\";}]*:@'({[", text, next);
}

bool ends(std::string_view text, size_t mark) {
  if (!may_end(text, mark)) return false;
  return text[mark] != '.' || full_stop_ends(text, mark, following(text, behind_space(text, mark + 1)));
}

}  // namespace

std::vector<std::string_view> sentences_of(std::string_view text) {
  std::vector<std::string_view> sentences;
  const auto add = [&](std::string_view part) {
    if (const auto sentence = data::strip(part); !sentence.empty()) sentences.push_back(sentence);
  };
  size_t begin = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if (!is_one_of(".?!", text, at) || !ends(text, at)) continue;
    const size_t end = behind_closing(text, at + 1);
    add(text.substr(begin, end - begin));
    begin = end;
    at = end - 1;
  }
  add(text.substr(begin));
  return sentences;
}

std::vector<std::string> words_of(std::string_view text) {
  using text::LetterCase, text::PythonPattern;
  static const std::string where = "words of a response";
  static const PythonPattern last_stop(R"(([^.])\.[\s'"»”’)\]}>]*$)", LetterCase::exact, where),
      marks("[«»“”‘’„`\"?!;@#$%&*\\[\\](){}<>\\u2012-\\u2015]|''|--|\\.\\.+|[:,](?=[^\\d]|$)", LetterCase::exact,
            where),
      clitic(R"(([^' ])('[sS]|'[mM]|'[dD]|'|'ll|'LL|'re|'RE|'ve|'VE|n't|N'T) )", LetterCase::exact, where),
      two_words(R"(\b(can|d|gim|gon|got|lem|more|wan(?=na\s))(not|'ye|me|na|ta|'n)\b)", LetterCase::ignored, where),
      space(R"(\s+)", LetterCase::exact, where);
  std::vector<std::string> words;
  for (const auto sentence : sentences_of(text)) {
    std::string parted = marks.replace_all(last_stop.replace_all(sentence, "\\1 "), " ");
    parted =
        two_words.replace_all(clitic.replace_all(space.replace_all(" " + parted + " ", " "), "\\1 \\2 "), "\\1 \\2");
    for (const auto word : space.split(parted))
      if (!word.empty()) words.emplace_back(word);
  }
  return words;
}

}  // namespace cmc::ifeval
