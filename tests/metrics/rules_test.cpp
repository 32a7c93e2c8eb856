#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/core/error.hpp"
#include "pipeline/metrics/instruction_rules.hpp"
#include "pipeline/metrics/response_health.hpp"

namespace cmc::metrics {
namespace {

struct Case {
  Instruction instruction;
  const char* response;
  bool expected;
};

TEST(Rules, TruthTable) {
  const Case cases[] = {
      {{Rule::starts_with, {"Certainly"}}, " certainly, I can.", true},
      {{Rule::starts_with, {"Certainly"}}, "Certainlyish", false},
      {{Rule::starts_with, {"In short"}}, "In short: no", true},
      {{Rule::starts_with, {"Yes"}}, "Oh yes", false},
      {{Rule::ends_with, {"the end"}}, "And that is The End.\n", true},
      {{Rule::ends_with, {"end."}}, "the END!", true},
      {{Rule::ends_with, {"end"}}, "on the weekend", false},
      {{Rule::ends_properly}, "He said \"no.\"", true},
      {{Rule::ends_properly}, "**Done!**", true},
      {{Rule::ends_properly}, "and then the", false},
      {{Rule::ends_properly}, "\"", false},
      {{Rule::word_count, {}, {2, 3}}, "one two", true},
      {{Rule::word_count, {}, {2, 3}}, "one two three four", false},
      {{Rule::sentence_count, {}, {2, 2}}, "It is 3.5 m. Really?", true},
      {{Rule::sentence_count, {}, {2, 2}}, "1. One thing. 2. Another", true},
      {{Rule::sentence_count, {}, {2, 2}}, "One... two", true},
      {{Rule::sentence_count, {}, {1, 1}}, "One. Two.", false},
      {{Rule::bullet_count, {}, {2, 2}}, "Here:\n- a\n  * b\n-c\n--- d", true},
      {{Rule::bullet_count, {}, {2, 2}}, "- a\r\n- b\r\n- c", false},
      {{Rule::paragraph_count, {}, {2, 2}}, "a\nb\n \n\nc", true},
      {{Rule::paragraph_count, {}, {2, 2}}, "a\nb", false},
      {{Rule::contains_all, {"sun", "Moon"}}, "The moon; the SUN.", true},
      {{Rule::contains_all, {"sun", "moon"}}, "The moons and the sun.", false},
      {{Rule::contains_all, {"sun"}}, "sunny sun", true},
      {{Rule::contains_all, {"C++"}}, "I like C++.", true},
      {{Rule::contains_none, {"sun"}}, "sunny", true},
      {{Rule::contains_none, {"sun"}}, "The Sun.", false},
      {{Rule::lower_case}, "all low, 1 é", true},
      {{Rule::lower_case}, "One", false},
      {{Rule::lower_case}, "123", false},
      {{Rule::upper_case}, "ALL UP!", true},
      {{Rule::upper_case}, "ALL Up", false},
      {{Rule::json}, " {\"a\": [1, null]} ", true},
      {{Rule::json}, "```json\n{\"a\": 1}\n```", true},
      {{Rule::json}, "```\n```", false},
      {{Rule::json}, "``````", false},
      {{Rule::json}, "{'a': 1}", false},
      {{Rule::json}, "Here: {\"a\": 1}", false},
      {{Rule::quoted}, "\"Hello.\"", true},
      {{Rule::quoted}, "\"", false},
      {{Rule::quoted}, "\"a\" b", false},
      {{Rule::said_twice}, "Hi there.\n\nHi  there.", true},
      {{Rule::said_twice}, "Hi there. Hi there! ", false},
      {{Rule::said_twice}, "a a a", false},
  };
  for (const auto& c : cases)
    EXPECT_EQ(follows(c.instruction, c.response), c.expected) << name_of(c.instruction.rule) << ": " << c.response;
}

TEST(Rules, AnEmptyResponseFulfilsNothing) {
  Random random(0);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(follows(draw_instruction(random), " \n"));
}

TEST(Rules, DrawnInstructionsAreCompleteAndCoverEveryRule) {
  Random random(3);
  std::set<std::string_view> names;
  for (int i = 0; i < 500; ++i) {
    const auto instruction = draw_instruction(random);
    names.insert(name_of(instruction.rule));
    EXPECT_FALSE(request(instruction).empty());
    EXPECT_EQ(rule_of(name_of(instruction.rule)), instruction.rule);
  }
  EXPECT_EQ(names.size(), 14u);
}

TEST(Rules, RequestsNameWhatIsAsked) {
  EXPECT_EQ(request({Rule::sentence_count, {}, {1, 1}}), "Answer in exactly 1 sentence.");
  EXPECT_EQ(request({Rule::word_count, {}, {0, 20}}), "Answer in at most 20 words.");
  EXPECT_EQ(request({Rule::word_count, {}, {5}}), "Answer in at least 5 words.");
  EXPECT_EQ(request({Rule::word_count, {}, {5, 9}}), "Answer in between 5 and 9 words.");
  EXPECT_EQ(request({Rule::contains_all, {"a", "b", "c"}}), "Use \"a\", \"b\" and \"c\" in your answer.");
}

TEST(Rules, IncompleteInstructionsAreRefused) {
  EXPECT_THROW(follows({Rule::starts_with}, "a"), BadData);
  EXPECT_THROW(follows({Rule::starts_with, {"a", "b"}}, "a"), BadData);
  EXPECT_THROW(follows({Rule::contains_all, {" "}}, "a"), BadData);
  EXPECT_THROW(follows({Rule::word_count, {}, {3, 2}}, "a"), BadData);
  EXPECT_THROW(rule_of("no_such_rule"), BadData);
}

TEST(ResponseHealth, SeesEmptinessStopAndRepetition) {
  const auto good = response_health("a b c d e", StopReason::end_token);
  EXPECT_FALSE(good.empty);
  EXPECT_TRUE(good.stopped);
  EXPECT_EQ(good.repetition, 0);
  EXPECT_EQ(good.words, 5);
  const auto loop = response_health("a a a a a a a", StopReason::length);  // four 4-grams, one distinct
  EXPECT_FALSE(loop.stopped);
  EXPECT_DOUBLE_EQ(loop.repetition, 0.75);
  EXPECT_TRUE(response_health(" \n", StopReason::stop_sequence).empty);
  EXPECT_DOUBLE_EQ(repetition_rate(std::vector<int32_t>{1, 2, 1, 2, 1}, 2), 0.5);
  EXPECT_EQ(repetition_rate("a b", 4), 0);
}

TEST(ResponseHealth, SummaryIsTheMean) {
  const std::vector<ResponseHealth> responses{{true, false, 0, 0}, {false, true, 0.5, 10}};
  const auto summary = summarise(responses);
  EXPECT_DOUBLE_EQ(summary.nonempty, 0.5);
  EXPECT_DOUBLE_EQ(summary.stopped, 0.5);
  EXPECT_DOUBLE_EQ(summary.repetition, 0.25);
  EXPECT_DOUBLE_EQ(summary.words, 5);
  EXPECT_THROW(summarise({}), BadData);
}

}  // namespace
}  // namespace cmc::metrics
