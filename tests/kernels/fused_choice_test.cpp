// The choice over fused scores against a plain reading of its definition.
#include <gtest/gtest.h>

#include "pipeline/kernels/fused_passes.hpp"
#include "tests/kernels/fused_reference.hpp"

namespace cmc::kernels::tests {
namespace {

using Map = TermCase::Map;

int32_t first_largest(const std::vector<float>& scores) {
  int32_t best = -1;
  for (int32_t v = 0; v < std::ssize(scores); ++v)
    if (scores[static_cast<size_t>(v)] > (best < 0 ? -INFINITY : scores[static_cast<size_t>(best)])) best = v;
  return best;
}

// decode::sample's definition by sorting all: the smallest set of most probable tokens with at least top_p, in id
// order.
int32_t drawn(const std::vector<float>& scores, double temperature, double top_p, double uniform) {
  const double maximum = *std::max_element(scores.begin(), scores.end());
  std::vector<double> weights;
  for (const float score : scores) weights.push_back(std::exp((score - maximum) / temperature));
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<size_t> order(weights.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return weights[a] > weights[b]; });
  double mass = 0.0;
  size_t kept = 0;
  while (kept < order.size() && (top_p >= 1.0 || mass < top_p * total)) mass += weights[order[kept++]];
  order.resize(kept);
  std::sort(order.begin(), order.end());
  double rest = uniform * mass;
  for (const size_t v : order)
    if ((rest -= weights[v]) < 0.0) return static_cast<int32_t>(v);
  return static_cast<int32_t>(order.back());
}

struct Choices {
  std::vector<int32_t> tokens, chosen, slots;
};

Choices choose_on_host(const FusedWorld& world, double temperature, double top_p, const std::vector<double>& uniform,
                       uint64_t seed) {
  const auto rows = static_cast<size_t>(world.scores.rows);
  Choices out{std::vector<int32_t>(rows, -77), std::vector<int32_t>(rows + 2, -77), {}};
  for (size_t r = 0; r < rows; ++r) out.slots.push_back(r == 1 ? -1 : static_cast<int32_t>((r + 3) % (rows + 2)));
  FusedChoice choice;
  choice.scores = world.scores;
  choice.temperature = temperature, choice.top_p = top_p;
  choice.uniform = uniform.data();
  choice.tokens = out.tokens.data(), choice.chosen = out.chosen.data(), choice.slots = out.slots.data();
  choose(choice, Host{seed});
  return out;
}

void expect_ready_again(const FusedWorld& world) {
  for (int64_t r = 0; r < world.scores.rows; ++r) {
    const FusedRow& row = row_of(world.scores, r);
    ASSERT_EQ(row.ticket, 0u);
    ASSERT_EQ(row.best, 0u);
    for (const uint64_t bin : row.histogram) ASSERT_EQ(bin, 0u);
  }
}

void check_greedy(int64_t rows, int64_t vocabulary, const std::vector<TermCase>& terms, float step) {
  const FusedWorld world(rows, vocabulary, terms, static_cast<uint64_t>(rows * vocabulary), step);
  const auto out = choose_on_host(world, 0.0, 1.0, {}, 3);
  for (int64_t r = 0; r < rows; ++r) {
    const auto at = static_cast<size_t>(r);
    ASSERT_EQ(out.tokens[at], first_largest(world.fused(r))) << rows << " rows of " << vocabulary << ", row " << r;
    if (out.slots[at] < 0) continue;
    ASSERT_EQ(out.chosen[static_cast<size_t>(out.slots[at])], out.tokens[at]);
  }
  expect_ready_again(world);
}

TEST(FusedChoiceTest, GreedyTakesTheLowestIdAmongEquals) {
  const std::vector<std::pair<int64_t, int64_t>> shapes = {{1, 1},    {1, 7},    {3, 2047}, {2, 2048},
                                                           {2, 2049}, {1, 6001}, {64, 300}};
  for (const auto& [rows, vocabulary] : shapes) {
    for (const float step : {0.0f, 1.0f}) {
      check_greedy(rows, vocabulary, {}, step);
      check_greedy(rows, vocabulary, {{}}, step);
      check_greedy(rows, vocabulary, {{Map::same, vocabulary + 40}, {Map::same, (vocabulary + 1) / 2, true}}, step);
      if (vocabulary < 7) continue;
      check_greedy(rows, vocabulary, {{Map::one_to_one, 50}, {Map::one_to_one, 333, true}}, step);
      check_greedy(rows, vocabulary, {{Map::one_to_many, 91, true}, {}}, step);
    }
  }
}

// Sums of a variant's fill and of log-softmax are rounded in another order: the logits are multiples of a quarter, so
// that scores are equal or far apart, but for the last bits of what is added to all.
TEST(FusedChoiceTest, GreedyOfEveryVariantOfTheMap) {
  for (const auto map : {Map::one_to_one, Map::one_to_many})
    for (const int64_t top : {int64_t{0}, int64_t{1}, int64_t{20}, int64_t{2500}, int64_t{9000}})
      for (const auto unmapped : {Unmapped::zero, Unmapped::minimum})
        check_greedy(3, 5003, {{map, 400, true, top, unmapped}}, 0.25f);
  for (const auto map : {Map::same, Map::one_to_one, Map::one_to_many})
    for (const int64_t top : {int64_t{0}, int64_t{37}}) {
      if (map == Map::same && top > 0) continue;
      const auto unmapped = map == Map::same ? Unmapped::zero : Unmapped::mean;
      const FusedWorld world(3, 4100, {{map, 2100, true, top, unmapped, true}}, 5);
      const auto out = choose_on_host(world, 0.0, 1.0, {}, 6);
      for (int64_t r = 0; r < 3; ++r) {
        const auto scores = world.fused(r);
        const float best = scores[static_cast<size_t>(first_largest(scores))];
        ASSERT_NEAR(scores.at(static_cast<size_t>(out.tokens[static_cast<size_t>(r)])), best, 2e-5);
      }
    }
}

TEST(FusedChoiceTest, RowsWithoutAFiniteScoreAreReported) {
  for (const double temperature : {0.0, 1.0}) {
    FusedWorld world(4, 3000, {}, 7);
    const auto row = [&](int64_t r) { return world.base.begin() + r * 3000; };
    std::fill(row(0), row(1), NAN);
    std::fill(row(1), row(2), -INFINITY);
    *(row(2) + 5) = INFINITY;
    std::fill(row(3), row(4), NAN);  // one is left
    *(row(3) + 2999) = -4.0f;
    const auto out = choose_on_host(world, temperature, 0.9, {0.1, 0.5, 0.5, 0.99}, 8);
    EXPECT_EQ(out.tokens, (std::vector<int32_t>{-1, -1, -1, 2999}));
    EXPECT_EQ(out.chosen[static_cast<size_t>(out.slots[0])], 0);
    expect_ready_again(world);
  }
}

void check_draws(const FusedWorld& world, double temperature, double top_p, uint64_t seed) {
  Random random(seed);
  std::vector<double> uniform;
  for (int64_t r = 0; r < world.scores.rows; ++r) uniform.push_back(random.uniform());
  uniform[0] = seed % 2 == 0 ? 0.0 : 1.0 - 0x1.0p-53;
  const auto out = choose_on_host(world, temperature, top_p, uniform, seed);
  for (int64_t r = 0; r < world.scores.rows; ++r) {
    const auto at = static_cast<size_t>(r);
    // The last token with any probability: weights below 2e-13 are none here, and probabilities of that order there.
    if (uniform[at] > 0.9999) continue;
    ASSERT_EQ(out.tokens[at], drawn(world.fused(r), temperature, top_p, uniform[at]))
        << temperature << " " << top_p << " row " << r;
  }
  expect_ready_again(world);
}

TEST(FusedChoiceTest, DrawsAsTheSamplerDoes) {
  for (const int64_t vocabulary : {5, 2048, 5000})
    for (const float step : {0.0f, 0.5f}) {
      const FusedWorld world(vocabulary == 5 ? 64 : 6, vocabulary, {{Map::same}, {Map::same, 0, true}}, 11, step);
      uint64_t seed = 100;
      for (const double temperature : {0.3, 1.0, 2.5, 30.0})
        for (const double top_p : {1.0, 0.95, 0.5, 0.01}) check_draws(world, temperature, top_p, ++seed);
    }
}

TEST(FusedChoiceTest, DrawsOverAnotherVocabularyAndVariants) {
  const FusedWorld mapped(5, 4500, {{Map::one_to_one, 300, true}}, 12),
      many(5, 4500, {{Map::one_to_many, 300, true, 40, Unmapped::minimum}}, 13, 0.25f);
  for (uint64_t seed = 200; seed < 206; ++seed) {
    check_draws(mapped, 1.0, seed % 2 == 0 ? 0.9 : 1.0, seed);
    check_draws(many, 0.8, seed % 2 == 0 ? 0.7 : 1.0, seed);
  }
}

// All scores equal: the nucleus is the first so many ids, and each is drawn by its share of the unit interval.
TEST(FusedChoiceTest, EqualScoresFormANucleusOfTheLowestIds) {
  FusedWorld world(8, 6000, {}, 14);
  std::fill(world.base.begin(), world.base.end(), 1.5f);
  const std::vector<double> uniform = {0.0, 0.1, 0.25, 0.4999, 0.5, 0.75, 0.9, 0.99999};
  const auto out = choose_on_host(world, 0.7, 0.5, uniform, 15);
  for (size_t r = 0; r < uniform.size(); ++r) EXPECT_EQ(out.tokens[r], static_cast<int32_t>(uniform[r] * 3000.0));
}

TEST(FusedLogProbTest, IsTheLogSoftmaxOfTheFusedScores) {
  const std::vector<std::vector<TermCase>> kinds = {{},
                                                    {{}},
                                                    {{Map::same, 0, true}, {Map::same, 700, true}},
                                                    {{Map::one_to_one, 300, true, 0, Unmapped::zero, true}},
                                                    {{Map::one_to_many, 300, false, 25, Unmapped::mean}},
                                                    {{Map::same, 0, true, 0, Unmapped::zero, true}}};
  for (const auto& terms : kinds)
    for (const auto& [rows, vocabulary] :
         std::vector<std::pair<int64_t, int64_t>>{{1, 9}, {3, 2048}, {5, 4099}, {64, 100}}) {
      const FusedWorld world(rows, vocabulary, terms, 16);
      std::vector<int32_t> tokens;
      for (int64_t r = 0; r < rows; ++r)
        tokens.push_back(static_cast<int32_t>((r * 7919 + vocabulary - 1) % vocabulary));
      auto out = poisoned<float>(rows);
      log_probabilities({world.scores, tokens.data(), out.data()}, Host{17});
      for (int64_t r = 0; r < rows; ++r) {
        const auto scores = world.fused(r);
        double sum = 0.0;
        for (const float score : scores) sum += std::exp(static_cast<double>(score));
        const double expected = scores[static_cast<size_t>(tokens[static_cast<size_t>(r)])] - std::log(sum);
        ASSERT_NEAR(out[static_cast<size_t>(r)], expected, 1e-5 + 1e-6 * std::abs(expected));
      }
      expect_ready_again(world);
    }
}

TEST(FusedLogProbTest, AnInfiniteOrMissingNumberShows) {
  for (const float odd : {NAN, INFINITY}) {
    FusedWorld world(1, 5000, {}, 18);
    world.base[4321] = odd;
    const int32_t token = 3;
    float out = 0.0f;
    log_probabilities({world.scores, &token, &out}, Host{});
    EXPECT_FALSE(std::isfinite(out));
  }
}

}  // namespace
}  // namespace cmc::kernels::tests
