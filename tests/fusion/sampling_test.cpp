#include "pipeline/fusion/sampling.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "pipeline/core/error.hpp"
#include "pipeline/core/random.hpp"

namespace cmc::fusion {
namespace {

// [V] the distribution by its definition: softmax at the temperature, sorted, cut after top_p, normalised again.
std::vector<double> exact(const std::vector<float>& scores, const Sampling& sampling) {
  std::vector<double> p;
  for (const float score : scores) p.push_back(std::exp(score / sampling.temperature));
  const double total = std::accumulate(p.begin(), p.end(), 0.0);
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] > p[b]; });
  std::vector<double> kept(p.size(), 0.0);
  double mass = 0.0;
  for (const size_t v : order) {
    if (mass >= sampling.top_p * total && sampling.top_p < 1.0) break;
    mass += kept[v] = p[v];
  }
  for (auto& probability : kept) probability /= mass;
  return kept;
}

std::vector<float> some_scores(size_t size, uint64_t seed) {
  Random random(seed);
  std::vector<float> scores;
  for (size_t v = 0; v < size; ++v)
    scores.push_back(static_cast<float>(std::floor(8.0 * random.uniform()) / 2.0));  // many ties
  return scores;
}

}  // namespace

// Pearson's chi-square against the exact probabilities; the bound is far out in the tail (mean k, deviation sqrt(2k)).
TEST(Sampling, DrawsFollowTheExactProbabilities) {
  for (const Sampling sampling :
       {Sampling{1.0, 1.0}, Sampling{0.7, 1.0}, Sampling{1.0, 0.6}, Sampling{1.5, 0.95}, Sampling{1.0, 1e-9}}) {
    const auto scores = some_scores(30, 5);
    const auto expected = exact(scores, sampling);
    std::vector<int> counts(scores.size(), 0);
    const int draws = 20000;
    Random random(17);
    for (int i = 0; i < draws; ++i) ++counts[static_cast<size_t>(draw(scores, sampling, random.uniform()).value)];
    double chi_square = 0.0, degrees = -1.0;
    for (size_t v = 0; v < scores.size(); ++v) {
      if (expected[v] == 0.0) {
        EXPECT_EQ(counts[v], 0) << "token " << v << " is outside the nucleus";
        continue;
      }
      degrees += 1.0;
      chi_square += std::pow(counts[v] - draws * expected[v], 2) / (draws * expected[v]);
    }
    EXPECT_LE(chi_square, degrees + 5.0 * std::sqrt(2.0 * degrees)) << sampling.temperature << " " << sampling.top_p;
  }
}

TEST(Sampling, TheNucleusOfALargeVocabularyIsTheSortedOne) {
  const auto scores = some_scores(20000, 6);
  for (const double top_p : {0.001, 0.3, 0.9, 0.999}) {
    const auto expected = exact(scores, {1.0, top_p});
    Random random(18);
    for (int i = 0; i < 200; ++i)
      EXPECT_GT(expected[static_cast<size_t>(draw(scores, {1.0, top_p}, random.uniform()).value)], 0.0);
  }
}

TEST(Sampling, SkipsImpossibleTokens) {
  std::vector<float> scores(50, -std::numeric_limits<float>::infinity());
  scores[31] = -1000.0f;
  for (const double uniform : {0.0, 0.5, 1.0 - 1e-16}) {
    EXPECT_EQ(draw(scores, {1.0, 1.0}, uniform).value, 31);
    EXPECT_EQ(draw(scores, {1.0, 0.5}, uniform).value, 31);
  }
}

TEST(Sampling, SettingsThatMeanNothingAreRefused) {
  EXPECT_THROW(check({-1.0, 1.0}), BadExperiment);
  EXPECT_THROW(check({std::nan(""), 1.0}), BadExperiment);
  EXPECT_THROW(check({1.0, 0.0}), BadExperiment);
  EXPECT_THROW(check({1.0, 1.1}), BadExperiment);
  EXPECT_NO_THROW(check({0.0, 1.0}));
  const std::vector<float> nan(4, std::nanf(""));
  EXPECT_THROW(draw(nan, {1.0, 1.0}, 0.5), BadData);
}

}  // namespace cmc::fusion
