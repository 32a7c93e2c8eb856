#include "pipeline/decode/score.hpp"

#include <gtest/gtest.h>

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

TEST(Score, AnAnswerNeedsSomethingBeforeIt) {
  LetterSource source(1);
  const std::vector<ScoreRequest> requests{{{}, {{3}}, {}}};
  EXPECT_THROW(score(source, requests), BadData);
}

}  // namespace cmc::decode
