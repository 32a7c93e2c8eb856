#include <gtest/gtest.h>

#include "pipeline/core/error.hpp"
#include "pipeline/text/added_tokens.hpp"
#include "pipeline/text/oniguruma.hpp"
#include "pipeline/text/pattern.hpp"
#include "pipeline/text/splitter.hpp"
#include "pipeline/text/unicode.hpp"

namespace cmc::text {
namespace {

using Parts = std::vector<std::string>;

Parts split_at_dashes(SplitBehavior behavior, Matched matched = Matched::delimiters) {
  const std::string text = "the-final--countdown";
  std::vector<Span> spans;
  split_word({0, text.size()}, Pattern(Json{{"String", "-"}}, "test").find_all(text), matched, behavior, spans);
  Parts parts;
  for (const auto& [begin, end] : spans) parts.push_back(text.substr(begin, end - begin));
  return parts;
}

TEST(Splitter, BehavesAsDocumentedByTokenizers) {
  EXPECT_EQ(split_at_dashes(SplitBehavior::removed), (Parts{"the", "final", "countdown"}));
  EXPECT_EQ(split_at_dashes(SplitBehavior::isolated), (Parts{"the", "-", "final", "-", "-", "countdown"}));
  EXPECT_EQ(split_at_dashes(SplitBehavior::merged_with_previous), (Parts{"the-", "final-", "-", "countdown"}));
  EXPECT_EQ(split_at_dashes(SplitBehavior::merged_with_next), (Parts{"the", "-final", "-", "-countdown"}));
  EXPECT_EQ(split_at_dashes(SplitBehavior::contiguous), (Parts{"the", "-", "final", "--", "countdown"}));
  EXPECT_EQ(split_at_dashes(SplitBehavior::removed, Matched::words), (Parts{"-", "-", "-"}));
}

Parts matches(const std::string& expression, const std::string& text) {
  Parts found;
  for (const auto& [begin, end] : Pattern::regex(expression, "test").find_all(text))
    found.push_back(text.substr(begin, end - begin));
  return found;
}

TEST(Pattern, FollowsOnigurumaWherePcre2Differs) {
  EXPECT_EQ(matches("\\s", "a\u180E b"), Parts{" "}) << "U+180E is no white space";
  EXPECT_EQ(matches("[^\\s]+", "a\u180E b"), (Parts{"a\u180E", "b"}));
  EXPECT_EQ(matches("\\p{L}+", "a\U00031350b."), Parts{"a\U00031350b"}) << "a letter of Unicode 15";
  EXPECT_EQ(matches("\\P{L}+", "a\U00031350b."), Parts{"."});
  EXPECT_EQ(matches("\\p{^L}+", "ab."), Parts{"."});
  EXPECT_EQ(matches("a{2}+b", "aaaab aaab"), (Parts{"aaaab", "aab"})) << "repeated, not possessive";
  EXPECT_EQ(matches("(?:ab){1,2}+c", "abababc"), Parts{"abababc"});
  EXPECT_EQ(matches("\\w+", "a\u0301_1\u2167-b"), (Parts{"a\u0301_1\u2167", "b"}))
      << "marks and letter numbers are words";
  EXPECT_EQ(matches("\\h+", "xfAz"), Parts{"fA"}) << "\\h is a hexadecimal digit";
  EXPECT_EQ(matches("a{,2}b", "aaab"), Parts{"aab"});
  EXPECT_EQ(matches("^b$", "a\nb\nc"), Parts{"b"}) << "^ and $ are those of lines";
  EXPECT_EQ(matches("x*", "ab"), (Parts{"", "", ""})) << "a match of nothing is one";
  EXPECT_EQ(matches("x*", "xxb"), (Parts{"xx", ""})) << "but where another ended";
  EXPECT_EQ(matches("x*", ""), Parts{});
  EXPECT_EQ(matches("[a-z&&[aeiou]]+", "hello"), (Parts{"e", "o"}));
  EXPECT_EQ(matches("[[a][b]]+", "cab"), Parts{"ab"});
}

TEST(Pattern, RefusesWhatItWouldMisread) {
  for (const char* expression : {"[[a]", "[a-z&&", "(a", "\\p{L", "[a", "*", "\\p{Nonsense}"})
    EXPECT_THROW(Pattern::regex(expression, "test"), BadData) << expression;
}

TEST(AddedTokens, LeftmostThenLongest) {
  AddedTokenMatcher matcher;
  int32_t id = 0;
  for (const char* content : {"ab", "abcd", "bcde", "e"}) matcher.add({content}, id++, content);
  Parts parts;
  std::vector<int32_t> ids;
  for (const auto& section : matcher.split("xabcdeabce")) {
    parts.emplace_back(section.text);
    ids.push_back(section.id);
  }
  EXPECT_EQ(parts, (Parts{"x", "abcd", "e", "ab", "c", "e"}));
  EXPECT_EQ(ids, (std::vector<int32_t>{-1, 1, 3, 0, -1, 3}));
  EXPECT_TRUE(matcher.split("").empty());
}

TEST(Unicode, NormalFormsLeaveCharactersNewerThanUnicode9Alone) {
  EXPECT_EQ(normalized("e\u0301", NormalForm::nfc), "\u00E9");
  EXPECT_EQ(normalized("\uFB01\u2167", NormalForm::nfkc), "fiVIII");
  EXPECT_EQ(normalized("e\u1ACB\u0301", NormalForm::nfc), "e\u1ACB\u0301") << "nothing composes across U+1ACB";
  EXPECT_EQ(normalized(std::string("a\0b", 3), NormalForm::nfd), std::string("a\0b", 3));
}

TEST(Unicode, StripsBothEnds) {
  EXPECT_EQ(strip_left(" \u3000\u00A0a ", is_white_space), "a ");
  EXPECT_EQ(strip_right("a\u3000 \n", is_white_space), "a");
  EXPECT_EQ(strip_right(strip_left(" \n", is_white_space), is_white_space), "");
  EXPECT_EQ(strip_left("\x1C"
                       "a",
                       is_white_space),
            "\x1C"
            "a");
  EXPECT_EQ(strip_left("\x1C"
                       "a",
                       is_python_space),
            "a");
}

}  // namespace
}  // namespace cmc::text
