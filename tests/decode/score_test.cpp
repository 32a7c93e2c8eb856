#include "pipeline/decode/score.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "pipeline/core/error.hpp"
#include "tests/decode/letter_source.hpp"

namespace cmc::decode {

TEST(Score, SumsTheLogProbabilitiesOfTheAnswerAlone) {
  LetterSource source(1);
  std::vector<ScoreRequest> requests{{{{1}, {2}}, {{3}, {4}, {5}}, {}}, {{{7}}, {}, {}}, {{{7}}, {{7}}, {}}};
  int64_t reported = 0;
  const auto scores = score(source, requests, [&](const ScoreProgress& progress) {
    EXPECT_EQ(progress.total, 4);
    reported = progress.tokens;
  });
  EXPECT_EQ(reported, 4);
  for (size_t i = 0; i < requests.size(); ++i) {
    auto context = requests[i].prompt;
    double expected = 0.0;
    for (const auto token : requests[i].answer) {
      std::vector<float> logits(28);
      LetterSource::fill(context, logits.data());
      double sum = 0.0;
      for (const float logit : logits) sum += std::exp(logit);
      expected += logits[static_cast<size_t>(token.value)] - std::log(sum);
      context.push_back(token);
    }
    EXPECT_EQ(scores[i].tokens(), static_cast<int64_t>(requests[i].answer.size()));
    EXPECT_NEAR(scores[i].log_prob, expected, 1e-4);
    EXPECT_NEAR(scores[i].loss() * static_cast<double>(scores[i].tokens()), -expected, 1e-4);
  }
}

TEST(Score, TellsWhatTheVocabularySaysWhereItIsAsked) {
  LetterSource source(1);
  std::vector<ScoreRequest> requests{{{{1}, {2}}, {{3}, {4}, {5}}, {}}, {{{9}}, {{7}, {8}}, {}}, {{{1}}, {{2}}, {}}};
  requests[0].with_vocabulary = requests[2].with_vocabulary = true;
  const auto scores = score(source, requests);
  EXPECT_TRUE(scores[1].vocabulary.best.empty() && scores[1].vocabulary.mean.empty());
  for (const size_t i : {0u, 2u}) {
    auto context = requests[i].prompt;
    const auto& told = scores[i].vocabulary;
    ASSERT_EQ(told.best.size(), requests[i].answer.size());
    for (size_t t = 0; t < requests[i].answer.size(); ++t) {
      std::vector<float> logits(28);
      LetterSource::fill(context, logits.data());
      double sum = 0.0, mean = 0.0, square = 0.0;
      for (const float logit : logits) sum += std::exp(logit);
      for (const float logit : logits) {
        const double p = std::exp(logit) / sum;
        mean += p * std::log(p), square += p * std::log(p) * std::log(p);
      }
      const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
      EXPECT_EQ(told.best[t], best == requests[i].answer[t].value ? 1 : 0);
      EXPECT_NEAR(told.mean[t], mean, 1e-5);
      EXPECT_NEAR(told.variance[t], square - mean * mean, 1e-4);
      context.push_back(requests[i].answer[t]);
    }
  }
}

TEST(Score, AnAnswerNeedsSomethingBeforeIt) {
  LetterSource source(1);
  const std::vector<ScoreRequest> requests{{{}, {{3}}, {}}};
  EXPECT_THROW(score(source, requests), BadData);
}

}  // namespace cmc::decode
