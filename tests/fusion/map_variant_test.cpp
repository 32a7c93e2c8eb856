#include "pipeline/fusion/map_variant.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "pipeline/core/error.hpp"
#include "pipeline/core/random.hpp"
#include "pipeline/fusion/fused_logits.hpp"
#include "pipeline/fusion/fused_tensor.hpp"

namespace cmc::fusion {
namespace {

constexpr int64_t rows = 3;

// Some of them equal, so that the order among equals counts.
torch::Tensor random_logits(int64_t count, int64_t width, Random& random) {
  auto logits = torch::empty({count, width}, torch::kFloat32);
  for (int64_t i = 0; i < logits.numel(); ++i)
    logits.data_ptr<float>()[i] = static_cast<float>(random.below(4000)) / 200.0f - 10.0f;
  return logits;
}

std::vector<std::vector<int32_t>> random_lists(int64_t vocabulary, int64_t width, Random& random) {
  std::vector<std::vector<int32_t>> lists(static_cast<size_t>(vocabulary));
  for (auto& list : lists)
    for (uint64_t left = random.below(4); left > 0; --left)
      list.push_back(static_cast<int32_t>(random.below(static_cast<uint64_t>(width))));
  return lists;
}

// One list for each base token: the definition reads these, the term its tensors.
struct Case {
  torch::Tensor base;  // [rows, V]
  std::vector<std::vector<int32_t>> lists;
  LogitTerm term;
};

Case random_case(int64_t vocabulary, const MapVariant& variant, bool one_to_many, Normalisation delta, Random& random) {
  const int64_t width = 1 + vocabulary / 3;
  Case made{random_logits(rows, vocabulary, random), random_lists(vocabulary, width, random), {}};
  made.term = {random_logits(2, width, random), {2, 0}, {1.5f, -0.5f}, {}, delta, variant};
  std::vector<int32_t> map, candidates;
  std::vector<int64_t> offsets{0};
  for (auto& list : made.lists) {
    if (!one_to_many && list.size() > 1) list.erase(list.begin() + 1, list.end());
    map.push_back(list.empty() ? -1 : list[0]);
    candidates.insert(candidates.end(), list.begin(), list.end());
    offsets.push_back(std::ssize(candidates));
  }
  made.term.map = torch::tensor(map, torch::kInt32);
  if (one_to_many) {
    made.term.variant.candidates = torch::tensor(candidates, torch::kInt32);
    made.term.variant.offsets = torch::tensor(offsets, torch::kInt64);
  }
  return made;
}

double log_sum_exp(const std::vector<double>& values) {
  const double top = *std::max_element(values.begin(), values.end());
  double sum = 0.0;
  for (const double value : values) sum += std::exp(value - top);
  return top + std::log(sum);
}

std::vector<double> row_of(const torch::Tensor& tensor, int64_t row) {
  const float* values = tensor.const_data_ptr<float>() + row * tensor.size(1);
  return {values, values + tensor.size(1)};
}

double fill(const std::vector<double>& known, Unmapped unmapped) {
  if (unmapped == Unmapped::zero || known.empty()) return 0.0;
  if (unmapped == Unmapped::minimum) return *std::min_element(known.begin(), known.end());
  return std::accumulate(known.begin(), known.end(), 0.0) / static_cast<double>(known.size());
}

// Half of what the distribution of `base` is moved by in all.
double moved(const std::vector<double>& base, const std::vector<double>& shift) {
  auto sum = base;
  for (size_t v = 0; v < sum.size(); ++v) sum[v] += shift[v];
  const double before = log_sum_exp(base), after = log_sum_exp(sum);
  double all = 0;
  for (size_t v = 0; v < sum.size(); ++v) all += std::abs(std::exp(sum[v] - after) - std::exp(base[v] - before));
  return all / 2;
}

// Zeroes what the gate does not let through.
void shut(std::vector<double>& shift, const std::vector<double>& base, const DeltaGate& gate) {
  if (gate.is_open()) return;
  if (gate.rule == GateRule::disagreement) {
    const double share = moved(base, shift);
    for (double& value : shift) value *= share;
    return;
  }
  const double top = *std::max_element(base.begin(), base.end()), total = log_sum_exp(base);
  auto ranked = base;
  std::sort(ranked.begin(), ranked.end(), std::greater<>());
  const auto kept = std::max<size_t>(1, static_cast<size_t>(gate.threshold * static_cast<double>(base.size())));
  const double least = std::min(ranked[kept - 1], top + std::log(gate.threshold));
  for (size_t v = 0; v < base.size(); ++v)
    if (gate.rule == GateRule::unsure ? std::exp(top - total) >= gate.threshold : base[v] < least) shift[v] = 0;
}

// Ids of the largest of `scores`, the lowest among equals, `top` of them; 0: all.
std::vector<size_t> ranked(const std::vector<double>& scores, int64_t top) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  if (top > 0) order.resize(std::min(order.size(), static_cast<size_t>(top)));
  return order;
}

double pooled(const std::vector<int32_t>& candidates, const std::vector<double>& logits, token_map::Pooling pooling) {
  std::vector<double> values;
  for (const int32_t id : candidates) values.push_back(logits[static_cast<size_t>(id)]);
  return pooling == token_map::Pooling::log_sum ? log_sum_exp(values) : *std::ranges::max_element(values);
}

// [V] what row `k` of the term adds, by the definition, in double precision.
std::vector<double> naive_shift(const Case& c, size_t k) {
  const auto base = row_of(c.base, c.term.rows[k]);
  auto logits = row_of(c.term.logits.whole(), static_cast<int64_t>(k));
  if (c.term.normalisation == Normalisation::log_softmax) {
    const double total = log_sum_exp(logits);
    for (auto& logit : logits) logit -= total;
  }
  auto asked = ranked(base, c.term.variant.top);
  if (c.term.variant.top_of == TopOf::either) {
    const auto by_delta = ranked(logits, c.term.variant.top);
    for (size_t v = 0; v < base.size(); ++v)
      if (!c.lists[v].empty() && std::ranges::count(by_delta, static_cast<size_t>(c.lists[v][0])) > 0 &&
          std::ranges::count(asked, v) == 0)
        asked.push_back(v);
  }
  std::vector<double> known;
  std::vector<std::pair<size_t, double>> own;
  for (const size_t v : asked) {
    if (c.lists[v].empty()) continue;
    known.push_back(pooled(c.lists[v], logits, c.term.variant.pooling));
    own.emplace_back(v, known.back());
  }
  std::vector<double> shift(base.size(), fill(known, c.term.variant.unmapped));
  for (const auto& [v, logit] : own) shift[v] = logit;
  for (auto& value : shift) value *= c.term.coefficients[k];
  shut(shift, base, c.term.gate);
  return shift;
}

void expect_near(const torch::Tensor& scores, int64_t row, const std::vector<double>& expected) {
  const float* values = scores.const_data_ptr<float>() + row * scores.size(1);
  for (size_t v = 0; v < expected.size(); ++v)
    ASSERT_NEAR(values[v], expected[v], 3e-5 * (1 + std::abs(expected[v]))) << "row " << row << ", token " << v;
}

void check(const Case& c, Normalisation base) {
  const FusedLogits fused(c.base, base, {c.term});
  const auto scores = fused.scores(), by_torch = fused_scores(c.base, base, {c.term}), log_probs = fused.log_probs();
  const auto best = fused.argmax();
  const std::vector<BaseToken> asked(rows, BaseToken{static_cast<int32_t>(c.base.size(1) / 2)});
  const auto asked_log_probs = fused.log_prob_of(asked);
  for (int64_t row = 0; row < rows; ++row) {
    auto expected = row_of(c.base, row);
    const double total = base == Normalisation::log_softmax ? log_sum_exp(expected) : 0.0;
    for (auto& score : expected) score -= total;
    for (size_t k = 0; k < c.term.rows.size(); ++k) {
      if (c.term.rows[k] != row) continue;
      const auto shift = naive_shift(c, k);
      for (size_t v = 0; v < expected.size(); ++v) expected[v] += shift[v];
    }
    expect_near(scores, row, expected);
    expect_near(by_torch, row, expected);
    const double sum = log_sum_exp(expected), top = *std::max_element(expected.begin(), expected.end());
    EXPECT_NEAR(expected[static_cast<size_t>(best[static_cast<size_t>(row)].value)], top, 1e-4);
    const double log_prob = expected[static_cast<size_t>(asked[0].value)] - sum;
    EXPECT_NEAR(asked_log_probs.const_data_ptr<float>()[row], log_prob, 5e-5 * (1 + std::abs(log_prob)));
  }
}

}  // namespace

TEST(MapVariant, EqualsTheDefinitionWhateverIsCombined) {
  Random random(21);
  for (const int64_t vocabulary : {1, 15, 513, 40000})
    for (const bool one_to_many : {false, true})
      for (const int64_t top : {0, 1, 100, 50000})
        for (const auto unmapped : {Unmapped::zero, Unmapped::minimum, Unmapped::mean}) {
          SCOPED_TRACE(testing::Message() << vocabulary << (one_to_many ? " lists, top " : ", top ") << top
                                          << ", unmapped " << name_of(unmapped));
          const auto normalisation = random.below(2) == 0 ? Normalisation::raw : Normalisation::log_softmax;
          const auto c = random_case(vocabulary, {{}, {}, top, unmapped}, one_to_many, normalisation, random);
          check(c, random.below(2) == 0 ? Normalisation::raw : Normalisation::log_softmax);
        }
}

TEST(MapVariant, CandidatesAreSummedAsProbabilities) {
  Random random(25);
  for (const int64_t vocabulary : {1, 15, 513, 40000})
    for (const int64_t top : {0, 100})
      for (const auto unmapped : {Unmapped::zero, Unmapped::mean}) {
        SCOPED_TRACE(testing::Message() << vocabulary << ", top " << top << ", unmapped " << name_of(unmapped));
        const MapVariant variant{{}, {}, top, unmapped, token_map::Pooling::log_sum};
        check(random_case(vocabulary, variant, true, Normalisation::log_softmax, random), Normalisation::log_softmax);
      }
}

TEST(MapVariant, TheUnionOfTopsIsShifted) {
  Random random(26);
  for (const int64_t vocabulary : {1, 15, 513, 4000})
    for (const int64_t top : {1, 10, 5000})
      for (const auto unmapped : {Unmapped::zero, Unmapped::minimum}) {
        SCOPED_TRACE(testing::Message() << vocabulary << ", top " << top << ", unmapped " << name_of(unmapped));
        const MapVariant variant{{}, {}, top, unmapped, token_map::Pooling::maximum, TopOf::either};
        check(random_case(vocabulary, variant, false, Normalisation::raw, random), Normalisation::log_softmax);
      }
}

// What a gate leaves of a term, by its definition.
TEST(MapVariant, AGateLetsThroughWhatItsRuleSays) {
  Random random(24);
  for (const int64_t vocabulary : {1, 15, 513, 40000})
    for (const bool one_to_many : {false, true})
      for (const int64_t top : {0, 100})
        for (const auto& gate :
             {DeltaGate{GateRule::plausible, 0.01}, DeltaGate{GateRule::plausible, 0.5},
              DeltaGate{GateRule::plausible, 1e-6}, DeltaGate{GateRule::unsure, 0.02}, DeltaGate{GateRule::unsure, 0.3},
              DeltaGate{GateRule::unsure, 1.0}, DeltaGate{GateRule::disagreement}}) {
          SCOPED_TRACE(testing::Message() << vocabulary << (one_to_many ? " lists" : "") << ", top " << top << ", gate "
                                          << static_cast<int>(gate.rule) << " " << gate.threshold);
          auto c = random_case(vocabulary, {{}, {}, top, Unmapped::mean}, one_to_many, Normalisation::raw, random);
          c.term.gate = gate;
          check(c, Normalisation::log_softmax);
        }
}

// The paper's map is the case of one candidate each.
TEST(MapVariant, ListsOfOneAreTheOneToOneMap) {
  Random random(22);
  auto c = random_case(2000, {}, false, Normalisation::raw, random);
  const auto usual = FusedLogits(c.base, Normalisation::log_softmax, {c.term}).scores();
  c.term.variant.candidates = c.term.map.masked_select(c.term.map >= 0);
  c.term.variant.offsets = torch::constant_pad_nd((c.term.map >= 0).cumsum(0), {1, 0}, 0);
  EXPECT_TRUE(torch::equal(usual, FusedLogits(c.base, Normalisation::log_softmax, {c.term}).scores()));
}

// Delta logits are raw scores: shifting all of them by a constant is no opinion, and only zero takes it for one.
TEST(MapVariant, MinimumAndMeanDoNotDependOnWhereZeroLies) {
  Random random(23);
  for (const auto unmapped : {Unmapped::zero, Unmapped::minimum, Unmapped::mean}) {
    auto c = random_case(3000, {{}, {}, 0, unmapped}, false, Normalisation::raw, random);
    const auto before = FusedLogits(c.base, Normalisation::raw, {c.term}).log_probs();
    c.term.logits = c.term.logits.whole() + 7.0f;
    const auto after = FusedLogits(c.base, Normalisation::raw, {c.term}).log_probs();
    EXPECT_EQ(torch::allclose(before, after, 1e-4, 1e-4), unmapped != Unmapped::zero) << name_of(unmapped);
  }
}

TEST(MapVariant, NeedsAMapAndAListForEachToken) {
  const auto base = torch::zeros({1, 4}), logits = torch::zeros({1, 4});
  EXPECT_THROW(FusedLogits(base, Normalisation::raw,
                           {{logits, {0}, {1.0f}, {}, Normalisation::raw, {{}, {}, 2, Unmapped::zero}}}),
               Internal);
  LogitTerm term{logits, {0}, {1.0f}, torch::zeros({4}, torch::kInt32), Normalisation::raw, {}};
  term.variant.candidates = torch::zeros({4}, torch::kInt32);
  term.variant.offsets = torch::arange(4);
  EXPECT_THROW(FusedLogits(base, Normalisation::raw, {term}), Internal);
}

}  // namespace cmc::fusion
