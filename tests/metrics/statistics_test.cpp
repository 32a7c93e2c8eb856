#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/core/random.hpp"
#include "pipeline/metrics/kolmogorov_smirnov.hpp"
#include "pipeline/metrics/sinkhorn.hpp"
#include "pipeline/metrics/strength.hpp"
#include "pipeline/metrics/summary.hpp"
#include "pipeline/metrics/tofu.hpp"
#include "pipeline/metrics/win_rate.hpp"

namespace cmc::metrics {
namespace {

using Values = std::vector<double>;
constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

TEST(KsTest, ByHand) {
  // Two samples of two, apart: 2 of the 6 orders are as far apart.
  const auto apart = ks_test(Values{1, 2}, Values{3, 4});
  EXPECT_DOUBLE_EQ(apart.statistic, 1);
  EXPECT_DOUBLE_EQ(apart.p_value, 1.0 / 3);
  // One and two values, apart: 2 of 3 orders.
  EXPECT_DOUBLE_EQ(ks_test(Values{1}, Values{2, 3}).p_value, 2.0 / 3);
  EXPECT_DOUBLE_EQ(ks_test(Values{1, 1}, Values{1, 1}).p_value, 1);
}

TEST(KsTest, RefusesWhatIsNoSample) {
  EXPECT_THROW(ks_test(Values{}, Values{1}), BadData);
  EXPECT_THROW(ks_test(Values{1}, Values{}), BadData);
  EXPECT_THROW(ks_test(Values{1}, Values{nan}), BadData);
}

TEST(KsTest, IsSymmetric) {
  const Values a{0.1, 0.4, 0.4, 0.9}, b{0.2, 0.4, 0.5};
  EXPECT_EQ(ks_test(a, b).p_value, ks_test(b, a).p_value);
}

TEST(Strength, NearestToOneIsTheWeakerOfEquallyNearOnesInAnyOrder) {
  EXPECT_EQ(nearest_to_1({0.25, 0.9, 1.2}), Values{0.9});
  EXPECT_EQ(nearest_to_1({1.5, 0.5}), Values{0.5});
  EXPECT_EQ(nearest_to_1({0.5, 1.5}), Values{0.5});
  EXPECT_EQ(nearest_to_1({}), Values{});
  EXPECT_LT(distance_from_1(1), distance_from_1(0.9));
}

TEST(Tofu, TruthRatioHasTwoDefinitions) {
  // P(wrong) = 1/2, 1/8; P(paraphrase) = 1/2: means 1/4 and 5/16.
  const AnswerLosses losses{0, std::log(2), {std::log(2), std::log(8)}};
  EXPECT_NEAR(truth_ratio(losses, TruthRatioMean::geometric), 0.5, 1e-15);
  EXPECT_NEAR(truth_ratio(losses, TruthRatioMean::arithmetic), 0.625, 1e-15);
}

TEST(Tofu, TinyProbabilitiesDoNotUnderflow) {
  const AnswerLosses losses{2000, 2000, {2001, 2001}};  // exp(-2000) is 0 in a double
  EXPECT_NEAR(truth_ratio(losses, TruthRatioMean::arithmetic), std::exp(-1), 1e-12);
  EXPECT_NEAR(answer_probability(losses, TofuSet::real_authors), 1 / (1 + 2 * std::exp(-1)), 1e-15);
  EXPECT_EQ(answer_probability(losses, TofuSet::retain), 0);
}

TEST(Tofu, ScoreOfARatio) {
  EXPECT_DOUBLE_EQ(truth_ratio_score(4, TofuSet::forget), 0.25);
  EXPECT_DOUBLE_EQ(truth_ratio_score(0.25, TofuSet::forget), 0.25);
  EXPECT_DOUBLE_EQ(truth_ratio_score(4, TofuSet::retain), 0);
  EXPECT_DOUBLE_EQ(truth_ratio_score(0.25, TofuSet::world_facts), 0.75);
  EXPECT_EQ(truth_ratio_score(infinity, TofuSet::forget), 0);
  EXPECT_EQ(truth_ratio_score(0, TofuSet::forget), 0);
  EXPECT_THROW(truth_ratio_score(nan, TofuSet::forget), BadData);
}

TEST(Tofu, RefusesImpossibleLosses) {
  const auto ratio = [](AnswerLosses losses) { return truth_ratio(losses, TruthRatioMean::geometric); };
  EXPECT_THROW(ratio({1, 1, {}}), BadData);
  EXPECT_THROW(ratio({1, nan, {1}}), BadData);
  EXPECT_THROW(ratio({1, 1, {1, infinity}}), BadData);
  EXPECT_THROW(ratio({1, 1, {-0.5}}), BadData);
  EXPECT_THROW(answer_probability({-1, 1, {1}}, TofuSet::retain), BadData);
  const std::vector<AnswerLosses> one{{1, 1, {1}}};
  EXPECT_THROW(score_tofu_set(TofuSet::retain, one, Values{0.5, 0.5}, TruthRatioMean::geometric), BadData);
  EXPECT_THROW(score_tofu_set(TofuSet::retain, {}, {}, TruthRatioMean::geometric), BadData);
  EXPECT_THROW(score_tofu_set(TofuSet::retain, one, Values{nan}, TruthRatioMean::geometric), BadData);
}

TEST(Tofu, UtilityIsZeroWhereAFigureIs) {
  const TofuScores good{1, 1, 1}, bad{1, 0, 1};
  EXPECT_DOUBLE_EQ(model_utility(good, good, good), 1);
  EXPECT_EQ(model_utility(good, bad, good), 0);
  EXPECT_THROW(model_utility(good, good, {nan, 1, 1}), BadData);
}

TEST(Tofu, ForgetQualityRefusesAFileComparedWithItself) {
  const Values ratios{0.3, 0.7, 1.2};
  EXPECT_THROW(forget_quality(ratios, ratios), BadData);
  EXPECT_THROW(forget_quality(ratios, Values{}), BadData);
  EXPECT_THROW(forget_quality(ratios, Values{infinity}), BadData);
  EXPECT_GT(forget_quality(ratios, Values{0.3, 0.8, 1.2}), 0.9);
}

TEST(WinRate, CountsDrawsAndMissing) {
  const auto w = win_rate(Values{1, 2, 2, 1.5, 0, nan, 3, -1});
  EXPECT_DOUBLE_EQ(w.win_rate, 60);
  EXPECT_EQ(w.n, 5);
  EXPECT_EQ(w.missing, 3);
  EXPECT_EQ(w.wins, 2);
  EXPECT_EQ(w.losses, 1);
  EXPECT_EQ(w.draws, 2);
  EXPECT_THROW(win_rate(Values{nan}), BadData);
  EXPECT_THROW(win_rate({}), BadData);
  EXPECT_TRUE(std::isnan(win_rate(Values{2}).standard_error));
}

TEST(Sinkhorn, OneAgainstOnePointIsHalfTheSquaredDistance) {
  EXPECT_NEAR(sinkhorn_divergence({Values{0, 0}, 2}, {Values{3, 4}, 2}), 12.5, 1e-12);
}

TEST(Sinkhorn, IsZeroForTheSameCloudAndSymmetric) {
  const Values x{0.1, 0.5, 0.9}, y{0.2, 0.3};
  EXPECT_NEAR(sinkhorn_divergence({x, 1}, {x, 1}), 0, 1e-15);
  EXPECT_EQ(sinkhorn_divergence({Values{2, 2}, 1}, {Values{2}, 1}), 0);
  EXPECT_NEAR(sinkhorn_divergence({x, 1}, {y, 1}), sinkhorn_divergence({y, 1}, {x, 1}), 1e-15);
}

TEST(Sinkhorn, RefusesWhatIsNoCloud) {
  EXPECT_THROW(sinkhorn_divergence({Values{}, 1}, {Values{1}, 1}), BadData);
  EXPECT_THROW(sinkhorn_divergence({Values{1, nan}, 1}, {Values{1}, 1}), BadData);
  EXPECT_THROW(sinkhorn_divergence({Values{1, 2, 3}, 2}, {Values{1, 2}, 2}), BadData);
  EXPECT_THROW(sinkhorn_divergence({Values{1, 2}, 2}, {Values{1}, 1}), BadData);
  EXPECT_THROW(sinkhorn_divergence({Values{1, 2}, 0}, {Values{1}, 1}), BadData);
}

TEST(Summary, MeanKeepsSmallTerms) {
  EXPECT_DOUBLE_EQ(mean(Values{1e16, 1, -1e16, 1}), 0.5);
  EXPECT_THROW(mean({}), BadData);
  EXPECT_THROW(mean(Values{1, infinity}), BadData);
  EXPECT_TRUE(std::isnan(standard_error(Values{1})));
}

TEST(Bootstrap, CoversTheTrueMeanAsOftenAsItSays) {
  // 95 % of 300 intervals: 285 +- 4 deviations of 3.8; the percentile bootstrap of 50 values covers slightly less.
  Random random(1);
  int covered = 0;
  for (uint64_t trial = 0; trial < 300; ++trial) {
    Values sample(50);
    for (double& v : sample) v = random.uniform();
    const auto interval = bootstrap_mean(sample, {trial, 400, 0.95});
    covered += interval.low <= 0.5 && 0.5 <= interval.high;
  }
  EXPECT_GT(covered, 265);
  EXPECT_LT(covered, 299);
}

TEST(Bootstrap, PairedDifference) {
  const Values a{1, 2, 3, 4, 5, 6}, b{0.5, 1.4, 2.6, 3.5, 4.4, 5.6};
  const auto result = paired_bootstrap(a, b);
  EXPECT_NEAR(result.difference, 0.5, 1e-12);
  EXPECT_GT(result.interval.low, 0.4);
  EXPECT_EQ(result.p_value, 0);
  EXPECT_EQ(paired_bootstrap(a, a).p_value, 1);
  EXPECT_THROW(paired_bootstrap(a, Values{1}), BadData);
  EXPECT_THROW(paired_bootstrap({}, {}), BadData);
  EXPECT_THROW(bootstrap_mean(a, {0, 0, 0.95}), Internal);
}

}  // namespace
}  // namespace cmc::metrics
