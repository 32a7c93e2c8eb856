// Rules on how many sentences, words and paragraphs a response has.
#include "pipeline/core/utf8.hpp"
#include "pipeline/data/record.hpp"
#include "pipeline/ifeval/rule.hpp"
#include "pipeline/ifeval/sentences.hpp"
#include "pipeline/text/python_pattern.hpp"
#include "pipeline/text/unicode.hpp"

namespace cmc::ifeval {
namespace {

using text::LetterCase, text::PythonPattern;

std::vector<std::string_view> between_blank_lines(std::string_view text) {
  std::vector<std::string_view> parts;
  size_t done = 0;
  for (size_t at = text.find("\n\n"); at != std::string_view::npos; at = text.find("\n\n", done)) {
    parts.push_back(text.substr(done, at - done));
    done = at + 2;
  }
  parts.push_back(text.substr(done));
  return parts;
}

// Of a text that begins with a word: up to white space or the first of . , ? ! ' ", quotes before it left out; letter
// by letter in lower case.
std::string first_word(std::string_view text) {
  const auto without = [&](char quote) {
    while (text.starts_with(quote)) text.remove_prefix(1);
  };
  without('\''), without('"');
  std::string word;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (text::is_python_space(c) ||
        (c < 0x80 && std::string_view(".,?!'\"").find(static_cast<char>(c)) != std::string_view::npos))
      break;
    text::append_lower(word, c);
  }
  return word;
}

}  // namespace

Check number_of_sentences(const Kwargs& kwargs) {
  return [relation = kwargs.relation("relation"), number = kwargs.count("num_sentences")](std::string_view response) {
    return holds(relation, std::ssize(sentences_of(response)), number);
  };
}

// Divided by ***; nothing may stand before the first divider or behind the last one, but not between two of them.
Check number_of_paragraphs(const Kwargs& kwargs) {
  const PythonPattern divider(R"(\s?\*\*\*\s?)", LetterCase::exact, kwargs.where("num_paragraphs"));
  return [divider, number = kwargs.count("num_paragraphs")](std::string_view response) {
    const auto paragraphs = divider.split(response);
    int64_t count = std::ssize(paragraphs);
    for (size_t i = 0; i < paragraphs.size(); ++i) {
      if (!data::is_blank(paragraphs[i])) continue;
      if (i != 0 && i + 1 != paragraphs.size()) return false;
      --count;
    }
    return count == number;
  };
}

Check number_of_words(const Kwargs& kwargs) {
  const PythonPattern word(R"(\w+)", LetterCase::exact, kwargs.where("num_words"));
  return [word, relation = kwargs.relation("relation"), number = kwargs.count("num_words")](std::string_view response) {
    return holds(relation, std::ssize(word.find_all(response)), number);
  };
}

// Paragraphs between blank lines, counted without the blank ones; the nth of all of them begins with the word.
Check first_word_of_paragraph(const Kwargs& kwargs) {
  const int64_t number = kwargs.count("num_paragraphs"), nth = kwargs.count("nth_paragraph");
  if (nth < 1 || nth > number)
    kwargs.refuse("nth_paragraph", "is " + std::to_string(nth) + " of " + std::to_string(number),
                  "give one of the paragraphs, from 1 on");
  return [number, nth, word = text::python_lower(kwargs.text("first_word"))](std::string_view response) {
    const auto paragraphs = between_blank_lines(response);
    int64_t count = 0;
    for (const auto paragraph : paragraphs) count += !data::is_blank(paragraph);
    if (nth > count) return false;
    const auto paragraph = data::strip(paragraphs[static_cast<size_t>(nth - 1)]);
    return !paragraph.empty() && count == number && first_word(paragraph) == word;
  };
}

}  // namespace cmc::ifeval
