#include "pipeline/metrics/rouge.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/core/error.hpp"
#include "pipeline/metrics/porter_stemmer.hpp"

namespace cmc::metrics {
namespace {

using testing::ElementsAre;

TEST(Rouge, TokensSplitAtEverythingButAsciiLettersAndDigits) {
  EXPECT_THAT(rouge_tokens("Hello, World-2x é\xff!", Stemming::none), ElementsAre("hello", "world", "2x"));
  EXPECT_THAT(rouge_tokens("\u212Aelvin \u0130stanbul", Stemming::none), ElementsAre("kelvin", "i", "stanbul"));
  EXPECT_TRUE(rouge_tokens(" 日本 …", Stemming::porter).empty());
}

TEST(Rouge, ShortTokensAreNotStemmed) {
  EXPECT_THAT(rouge_tokens("was running ties", Stemming::porter), ElementsAre("was", "run", "tie"));
}

TEST(Rouge, ByHand) {
  // reference a b c d, candidate a c x: unigrams 2 of 4 and 2 of 3, no bigram, subsequence a c.
  const auto scores = rouge("a b c d", "a c x", Stemming::none);
  EXPECT_DOUBLE_EQ(scores.rouge1.recall, 2.0 / 4);
  EXPECT_DOUBLE_EQ(scores.rouge1.precision, 2.0 / 3);
  EXPECT_DOUBLE_EQ(scores.rouge1.f_measure, 4.0 / 7);
  EXPECT_EQ(scores.rouge2.f_measure, 0);
  EXPECT_DOUBLE_EQ(scores.rouge_l.recall, 2.0 / 4);
}

TEST(Rouge, EmptyTextsScoreNothing) {
  for (const auto& [reference, candidate] : {std::pair{"", ""}, {"a", ""}, {"", "a"}}) {
    const auto scores = rouge(reference, candidate);
    EXPECT_EQ(scores.rouge1.f_measure + scores.rouge2.recall + scores.rouge_l.precision, 0);
  }
  EXPECT_THROW(rouge_n("a", "a", 0, Stemming::none), Internal);
}

TEST(PorterStemmer, PublishedExamples) {
  // Porter (1980), steps 1a to 5b, where NLTK's mode agrees.
  const std::pair<const char*, const char*> examples[] = {
      {"caresses", "caress"},        {"ponies", "poni"},        {"cats", "cat"},          {"agreed", "agre"},
      {"plastered", "plaster"},      {"motoring", "motor"},     {"conflated", "conflat"}, {"hopping", "hop"},
      {"falling", "fall"},           {"filing", "file"},        {"happy", "happi"},       {"relational", "relat"},
      {"vietnamization", "vietnam"}, {"triplicate", "triplic"}, {"hopeful", "hope"},      {"adoption", "adopt"},
      {"controll", "control"},       {"probate", "probat"},     {"dying", "die"},         {"news", "news"}};
  for (const auto& [word, stem] : examples) EXPECT_EQ(porter_stem(word), stem) << word;
}

}  // namespace
}  // namespace cmc::metrics
