// Rules on words and letters that a response has, or has not. Keywords are regular expressions, as in the authors'
// program.
#include <algorithm>

#include "pipeline/core/utf8.hpp"
#include "pipeline/data/record.hpp"
#include "pipeline/ifeval/rule.hpp"
#include "pipeline/text/python_pattern.hpp"
#include "pipeline/text/unicode.hpp"

namespace cmc::ifeval {
namespace {

using text::LetterCase, text::PythonPattern;

std::vector<PythonPattern> patterns(const std::vector<std::string>& words, const std::string& edge,
                                    const std::string& where) {
  std::vector<PythonPattern> all;
  for (const auto& word : words) all.emplace_back(edge + word + edge, LetterCase::ignored, where);
  return all;
}

size_t occurrences(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

}  // namespace

Check keyword_existence(const Kwargs& kwargs) {
  return [words = patterns(kwargs.texts("keywords"), "", kwargs.where("keywords"))](std::string_view response) {
    return std::ranges::all_of(words, [&](const auto& word) { return word.occurs_in(response); });
  };
}

Check keyword_frequency(const Kwargs& kwargs) {
  const PythonPattern word(std::string(data::strip(kwargs.text("keyword"))), LetterCase::ignored,
                           kwargs.where("keyword"));
  return [word, relation = kwargs.relation("relation"), frequency = kwargs.count("frequency")](
             std::string_view response) { return holds(relation, std::ssize(word.find_all(response)), frequency); };
}

Check forbidden_words(const Kwargs& kwargs) {
  return [words = patterns(kwargs.texts("forbidden_words"), "\\b", kwargs.where("forbidden_words"))](
             std::string_view response) {
    return std::ranges::none_of(words, [&](const auto& word) { return word.occurs_in(response); });
  };
}

// Any character is counted. The authors' program draws another at random for what is not one of a to z; their data ask
// for # and !, too.
Check letter_frequency(const Kwargs& kwargs) {
  const std::string letter(data::strip(kwargs.text("letter")));
  if (count_code_points(letter) != 1) kwargs.refuse("letter", "is \"" + letter + "\"", "give one character");
  return [lower = text::python_lower(letter), relation = kwargs.relation("let_relation"),
          frequency = kwargs.count("let_frequency")](std::string_view response) {
    return holds(relation, static_cast<int64_t>(occurrences(text::python_lower(response), lower)), frequency);
  };
}

}  // namespace cmc::ifeval
