#include "pipeline/fusion/fused_logits.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "pipeline/core/error.hpp"
#include "pipeline/core/random.hpp"
#include "pipeline/fusion/chosen.hpp"
#include "pipeline/fusion/fused_tensor.hpp"

namespace cmc::fusion {
namespace {

torch::Tensor random_logits(int64_t rows, int64_t width, Random& random) {
  auto logits = torch::empty({rows, width}, torch::kFloat32);
  for (int64_t i = 0; i < logits.numel(); ++i)
    logits.data_ptr<float>()[i] = static_cast<float>(random.uniform() * 20.0 - 10.0);
  return logits;
}

torch::Tensor random_map(int64_t vocabulary, int64_t width, Random& random) {
  auto map = torch::empty({vocabulary}, torch::kInt32);
  for (int64_t v = 0; v < vocabulary; ++v)
    map.data_ptr<int32_t>()[v] = static_cast<int32_t>(random.below(static_cast<uint64_t>(width) + 1)) - 1;
  return map;
}

double log_sum_exp(const float* values, int64_t count) {
  double sum = 0.0, top = -std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i < count; ++i) top = std::max(top, static_cast<double>(values[i]));
  for (int64_t i = 0; i < count; ++i) sum += std::exp(values[i] - top);
  return top + std::log(sum);
}

// [V] the definition, one element after the other, in double precision.
std::vector<double> naive_scores(const torch::Tensor& base, Normalisation normalisation,
                                 const std::vector<LogitTerm>& terms, int64_t row) {
  const int64_t vocabulary = base.size(1);
  const float* values = base.const_data_ptr<float>() + row * vocabulary;
  std::vector<double> scores(values, values + vocabulary);
  const double total = normalisation == Normalisation::log_softmax ? log_sum_exp(values, vocabulary) : 0.0;
  for (auto& score : scores) score -= total;
  for (const auto& term : terms)
    for (size_t k = 0; k < term.rows.size(); ++k) {
      if (term.rows[k] != row) continue;
      const int64_t width = term.logits.width();
      const float* delta = term.logits.whole().const_data_ptr<float>() + static_cast<int64_t>(k) * width;
      const double offset = term.normalisation == Normalisation::log_softmax ? log_sum_exp(delta, width) : 0.0;
      for (int64_t v = 0; v < vocabulary; ++v) {
        int64_t id = v < width ? v : -1;
        if (term.map.defined()) id = v < term.map.size(0) ? term.map.const_data_ptr<int32_t>()[v] : -1;
        if (id >= 0) scores[static_cast<size_t>(v)] += term.coefficients[k] * (delta[id] - offset);
      }
    }
  return scores;
}

struct Case {
  torch::Tensor base;
  Normalisation base_normalisation;
  std::vector<LogitTerm> terms;
};

// Rows with several deltas, distinct strengths (0 and negative too), maps shorter than the base, and none at all.
Case random_case(int64_t rows, int64_t vocabulary, Normalisation base, Normalisation delta, Random& random) {
  Case made{random_logits(rows, vocabulary, random), base, {}};
  const int64_t other = 1 + vocabulary / 3;
  LogitTerm mapped{random_logits(rows, other, random), {}, {}, random_map(vocabulary, other, random), delta};
  LogitTerm same{random_logits(1, vocabulary, random), {rows - 1}, {-0.75f}, {}, delta};
  LogitTerm narrow{random_logits(1, other, random), {0}, {1.5f}, {}, delta};
  LogitTerm cut{random_logits(1, other, random), {0}, {2.0f}, random_map(1 + vocabulary / 2, other, random), delta};
  for (int64_t row = 0; row < rows; ++row) {
    mapped.rows.push_back(rows - 1 - row);
    mapped.coefficients.push_back(static_cast<float>(row) * 0.5f);
  }
  made.terms = {mapped, same, narrow, cut};
  return made;
}

}  // namespace

TEST(FusedLogits, EqualsTheDefinitionInEveryModeAndSize) {
  Random random(1);
  for (const int64_t vocabulary : {1, 15, 512, 513, 1000, 40000, 70001})
    for (const auto base : {Normalisation::raw, Normalisation::log_softmax})
      for (const auto delta : {Normalisation::raw, Normalisation::log_softmax}) {
        const auto c = random_case(3, vocabulary, base, delta, random);
        const FusedLogits fused(c.base, c.base_normalisation, c.terms);
        const auto scores = fused.scores(), by_torch = fused_scores(c.base, c.base_normalisation, c.terms);
        const auto best = fused.argmax();
        const auto best_by_torch = choice_among(by_torch, {}, {});
        const std::vector<BaseToken> asked{
            {0}, {static_cast<int32_t>(vocabulary / 2)}, {static_cast<int32_t>(vocabulary - 1)}};
        const auto log_probs = fused.log_prob_of(asked), all = fused.log_probs();
        for (int64_t row = 0; row < 3; ++row) {
          const auto expected = naive_scores(c.base, base, c.terms, row);
          const std::vector<float> rounded(expected.begin(), expected.end());
          const double total = log_sum_exp(rounded.data(), vocabulary);
          size_t top = 0;
          for (size_t v = 0; v < expected.size(); ++v) {
            if (expected[v] > expected[top]) top = v;
            const auto at = static_cast<int64_t>(v);
            ASSERT_NEAR(scores[row].const_data_ptr<float>()[at], expected[v], 2e-5 * (1 + std::abs(expected[v])));
            ASSERT_NEAR(by_torch[row].const_data_ptr<float>()[at], expected[v], 2e-5 * (1 + std::abs(expected[v])));
            ASSERT_NEAR(all[row].const_data_ptr<float>()[at], expected[v] - total,
                        5e-5 * (1 + std::abs(expected[v] - total)));
          }
          const auto r = static_cast<size_t>(row);
          EXPECT_EQ(best[r].value, static_cast<int32_t>(top));
          EXPECT_EQ(best_by_torch.const_data_ptr<int32_t>()[row], static_cast<int32_t>(top));
          const double log_prob = expected[static_cast<size_t>(asked[r].value)] - total;
          EXPECT_NEAR(log_probs.const_data_ptr<float>()[row], log_prob, 2e-5 * (1 + std::abs(log_prob)));
        }
      }
}

TEST(FusedLogits, SomeRowsAreWhatTheyAreAmongAll) {
  Random random(3);
  for (const auto base : {Normalisation::raw, Normalisation::log_softmax}) {
    const auto c = random_case(5, 700, base, Normalisation::raw, random);
    const FusedLogits all(c.base, base, c.terms);
    for (const std::vector<int64_t>& rows : {std::vector<int64_t>{4, 0, 2}, {1}, {0, 1, 2, 3, 4}, {3}}) {
      const auto some = all.of_rows(rows);
      ASSERT_EQ(some.rows(), std::ssize(rows));
      EXPECT_TRUE(torch::equal(some.scores(), all.scores().index_select(0, torch::tensor(rows, torch::kInt64))));
    }
  }
}

TEST(FusedLogits, MomentsAreThoseOfTheLogProbabilities) {
  Random random(4);
  for (const int64_t vocabulary : {1, 15, 40000}) {
    auto c = random_case(3, vocabulary, Normalisation::raw, Normalisation::raw, random);
    if (vocabulary > 1) c.base[1][0] = -std::numeric_limits<float>::infinity();  // a token that cannot be drawn
    const auto [mean, variance] = FusedLogits(c.base, c.base_normalisation, c.terms).moments();
    for (int64_t row = 0; row < 3; ++row) {
      const auto scores = naive_scores(c.base, Normalisation::raw, c.terms, row);
      double sum = 0, first = 0, second = 0, most = scores[0];
      for (const double score : scores) most = std::max(most, score);
      for (const double score : scores) sum += std::exp(score - most);
      for (const double score : scores) {
        const double log_p = score - most - std::log(sum), p = std::exp(log_p);
        if (p > 0) first += p * log_p, second += p * log_p * log_p;
      }
      EXPECT_NEAR(mean[row].item<float>(), first, 2e-4);
      EXPECT_NEAR(variance[row].item<float>(), second - first * first, 1e-3);
    }
  }
}

TEST(FusedLogits, LowestIdWinsAmongEquals) {
  for (const int64_t vocabulary : {3, 600, 70000}) {
    auto base = torch::zeros({2, vocabulary});
    base.index_put_({0, vocabulary - 2}, 1.0f);
    base.index_put_({0, vocabulary - 1}, 1.0f);
    const FusedLogits fused(base, Normalisation::log_softmax, {});
    EXPECT_EQ(fused.argmax()[0].value, vocabulary - 2);
    EXPECT_EQ(fused.argmax()[1].value, 0);
    EXPECT_TRUE(torch::equal(choice_among(base, {}, {}), torch::tensor({vocabulary - 2, int64_t{0}}, torch::kInt32)));
  }
}

// What a base says after its normalisation may be equal where it was not before: the choice is made before.
TEST(FusedLogits, EqualsAreToldBeforeNormalisation) {
  auto base = torch::zeros({1, 5000});
  base.index_put_({0, 4000}, 1e-9f);
  const FusedLogits fused(base, Normalisation::log_softmax, {});
  const auto scores = fused.scores();
  ASSERT_EQ(scores[0][0].item<float>(), scores[0][4000].item<float>()) << "normalising does round the difference away";
  EXPECT_EQ(fused.argmax()[0].value, 4000);
}

// Draws by torch operations and by the CPU's threads are those of draw() from the definition's scores.
TEST(FusedLogits, DrawsAreTheSameOnEveryPath) {
  Random random(3);
  for (const Sampling sampling : {Sampling{1.0, 1.0}, Sampling{0.7, 0.9}, Sampling{3.0, 0.5}, Sampling{1.0, 1e-9}}) {
    const auto c = random_case(6, 3000, Normalisation::log_softmax, Normalisation::raw, random);
    std::vector<double> uniforms;
    for (int row = 0; row < 6; ++row) uniforms.push_back(random.uniform());
    const auto by_threads = FusedLogits(c.base, c.base_normalisation, c.terms).choose(sampling, uniforms);
    const auto by_torch = choice_among(fused_scores(c.base, Normalisation::raw, c.terms), sampling,
                                       torch::tensor(uniforms, torch::kFloat64));
    for (int64_t row = 0; row < 6; ++row) {
      const auto expected = naive_scores(c.base, c.base_normalisation, c.terms, row);
      const std::vector<float> scores(expected.begin(), expected.end());
      const auto token = draw(scores, sampling, uniforms[static_cast<size_t>(row)]).value;
      EXPECT_EQ(by_threads[static_cast<size_t>(row)].value, token);
      EXPECT_EQ(by_torch.const_data_ptr<int32_t>()[row], token);
    }
  }
}

TEST(FusedLogits, ARowWithoutFiniteScoresChoosesNothing) {
  auto base = torch::zeros({3, 700});
  base[1].fill_(std::nanf(""));
  base[2].fill_(-std::numeric_limits<float>::infinity());
  for (const Sampling sampling : {Sampling{}, Sampling{1.0, 1.0}, Sampling{1.0, 0.5}}) {
    const auto uniforms = torch::full({3}, 0.5, torch::kFloat64);
    const auto tokens = choice_among(base, sampling, uniforms);
    EXPECT_GE(tokens[0].item<int32_t>(), 0);
    EXPECT_EQ(tokens[1].item<int32_t>(), -1);
    EXPECT_EQ(tokens[2].item<int32_t>(), -1);
    EXPECT_THROW(Chosen({true, false, true}, tokens.slice(0, 0, 2).clone(), {}).tokens(), BadData);
    EXPECT_THROW(FusedLogits(base, Normalisation::raw, {}).choose(sampling, std::vector<double>(3, 0.5)), BadData);
  }
}

// Protocol, fault 3: the base's normalisation changes nothing but a constant; the delta's does, where tokens are
// unmapped.
TEST(FusedLogits, NormalisingTheBaseMovesNoProbability) {
  Random random(2);
  const auto c = random_case(4, 5000, Normalisation::raw, Normalisation::raw, random);
  const FusedLogits raw(c.base, Normalisation::raw, c.terms), normalised(c.base, Normalisation::log_softmax, c.terms);
  EXPECT_TRUE(torch::allclose(raw.log_probs(), normalised.log_probs(), 1e-4, 1e-4));
  EXPECT_EQ(raw.argmax(), normalised.argmax());
  auto terms = c.terms;
  for (auto& term : terms) term.normalisation = Normalisation::log_softmax;
  EXPECT_FALSE(
      torch::allclose(raw.log_probs(), FusedLogits(c.base, Normalisation::raw, terms).log_probs(), 1e-2, 1e-2));
}

TEST(FusedLogits, ExtremeScoresStayAccurate) {
  auto base = torch::full({1, 3000}, -1e4f);
  base.index_put_({0, 7}, 300.0f);
  base.index_put_({0, 2999}, 299.0f);
  base.index_put_({0, 5}, -std::numeric_limits<float>::infinity());
  const FusedLogits fused(base, Normalisation::raw, {});
  const double expected = -std::log1p(std::exp(-1.0));
  EXPECT_NEAR(fused.log_prob_of(std::vector<BaseToken>{{7}}).item<float>(), expected, 1e-6);
  EXPECT_NEAR(fused.log_prob_of(std::vector<BaseToken>{{2999}}).item<float>(), expected - 1.0, 1e-6);
  EXPECT_EQ(fused.argmax()[0].value, 7);
}

TEST(FusedLogits, ScoresThatAreNotFiniteAreAnErrorNotATokenOfNoMeaning) {
  const auto nan = torch::full({1, 100}, std::numeric_limits<float>::quiet_NaN());
  EXPECT_THROW(FusedLogits(nan, Normalisation::raw, {}).argmax(), BadData);
  EXPECT_THROW(
      FusedLogits(torch::full({1, 9}, std::numeric_limits<float>::infinity()), Normalisation::raw, {}).argmax(),
      BadData);
  EXPECT_EQ(choice_among(nan, {}, {})[0].item<int32_t>(), -1);
}

// Wherever it stands: among numbers, or alone in a part that else holds nothing, before and behind what does.
TEST(FusedLogits, ANumberThatIsNoneShowsInTheLogProbability) {
  constexpr float none = -std::numeric_limits<float>::infinity();
  constexpr int64_t vocabulary = 100'000;
  for (const bool among_numbers : {true, false})
    for (const int64_t at : {int64_t{0}, int64_t{3}, int64_t{700}, int64_t{33'000}, vocabulary - 1})
      for (const bool of_delta : {true, false}) {
        auto base = torch::full({2, vocabulary}, among_numbers ? 0.5f : none);
        base.slice(1, 70'300, 70'400).fill_(1.0f);
        auto delta = torch::zeros({1, vocabulary});
        (of_delta ? delta[0] : base[0])[at] = std::numeric_limits<float>::quiet_NaN();
        const FusedLogits fused(base, Normalisation::raw, {{delta, {0}, {1.0f}, {}, Normalisation::raw}});
        const auto values = fused.log_prob_of(std::vector<BaseToken>{{70'350}, {70'350}});
        const auto truth = fused.scores().to(torch::kFloat64).log_softmax(1);
        EXPECT_TRUE(std::isnan(truth[0][70'350].item<double>()));
        EXPECT_TRUE(std::isnan(values[0].item<float>())) << at << (of_delta ? " of the delta" : " of the base");
        EXPECT_NEAR(values[1].item<float>(), truth[1][70'350].item<double>(), 1e-5);
      }
}

TEST(FusedLogits, ShapesThatDisagreeAreRefused) {
  const auto base = torch::zeros({2, 4});
  EXPECT_THROW(FusedLogits(torch::zeros({4}), Normalisation::raw, {}), Internal);
  EXPECT_THROW(FusedLogits(base, Normalisation::raw, {{torch::zeros({1, 4}), {0, 1}, {1.0f}, {}, Normalisation::raw}}),
               Internal);
  EXPECT_THROW(FusedLogits(base, Normalisation::raw, {{torch::zeros({1, 4}), {2}, {1.0f}, {}, Normalisation::raw}}),
               Internal);
  EXPECT_THROW(FusedLogits(base, Normalisation::raw, {}).log_prob_of(std::vector<BaseToken>{{0}, {4}}), Internal);
}

}  // namespace cmc::fusion
