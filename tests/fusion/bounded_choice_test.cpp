// The greedy choice by bounds against the choice among all logits: the same tokens, equal scores and odd ones included.
#include "pipeline/fusion/bounded_choice.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "pipeline/core/random.hpp"
#include "pipeline/fusion/fused_logits.hpp"

namespace cmc::fusion {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

torch::Tensor normals(at::IntArrayRef sizes, double spread) {
  return torch::randn(sizes, torch::kFloat32) * spread;
}

std::shared_ptr<const cpu::PackedMatrix> packed(const torch::Tensor& weights) {
  const auto matrix =
      std::make_shared<cpu::PackedMatrix>(weights.const_data_ptr<float>(), weights.size(0), weights.size(1));
  matrix->pack(weights.const_data_ptr<float>(), 0, matrix->strips());
  return matrix;
}

enum class Vocabulary { same, narrower, other };

// Terms of the same logits, one that waits and one that does not.
struct Pair {
  LogitTerm waits, made;
};

Pair term_of(Vocabulary kind, int64_t rows, int64_t vocabulary, double spread, Random& random) {
  const int64_t width = kind == Vocabulary::same ? vocabulary : 1 + vocabulary / 3, inputs = 24;
  const auto states = normals({rows, inputs}, 1.0);
  const auto matrix = packed(normals({width, inputs}, spread / std::sqrt(static_cast<double>(inputs))));
  Pair pair;
  for (int64_t row = 0; row < rows; ++row) {
    pair.waits.rows.push_back(rows - 1 - row);
    pair.waits.coefficients.push_back(static_cast<float>(random.uniform() * 4.0 - 2.0));
  }
  pair.waits.coefficients[0] = 0.0f;
  if (kind == Vocabulary::other) {
    std::vector<int32_t> map;
    for (int64_t v = 0; v < vocabulary; ++v)
      map.push_back(static_cast<int32_t>(random.below(static_cast<uint64_t>(width + width / 4))));
    for (auto& id : map)
      if (id >= width) id = -1;
    pair.waits.map = torch::tensor(map, torch::kInt32);
  }
  if (kind != Vocabulary::same) pair.waits.index = index_of(pair.waits.map, {}, width, vocabulary, torch::kCPU);
  pair.waits.reach = reach_of(*matrix, pair.waits.index.columns, vocabulary);
  pair.waits.logits = LazyLogits(states, matrix, nullptr);
  pair.made = pair.waits;
  pair.made.logits = LazyLogits(states, matrix, nullptr).whole();
  return pair;
}

class BoundedChoice : public ::testing::Test {
 protected:
  void SetUp() override {
    if (cpu::instruction_set() == cpu::InstructionSet::none) GTEST_SKIP() << "this processor has no AVX2";
  }
};

}  // namespace

TEST_F(BoundedChoice, IsTheChoiceAmongAllLogits) {
  torch::manual_seed(11);
  Random random(11);
  int by_bound = 0, among_all = 0;
  for (const int64_t vocabulary : {1, 15, 16, 17, 511, 513, 5000, 70001})
    for (const auto& kinds : std::vector<std::vector<Vocabulary>>{
             {Vocabulary::same}, {Vocabulary::narrower}, {Vocabulary::other}, {Vocabulary::other, Vocabulary::same}})
      for (const double spread : {1e-6, 0.02, 0.3, 3.0, 1e4})
        for (int round = 0; round < 4; ++round) {
          const int64_t rows = 1 + static_cast<int64_t>(random.below(5));
          auto base = normals({rows, vocabulary}, 2.0);
          if (round == 1) base = base.round();  // many equal scores
          if (round == 2) base.masked_fill_(base < 0.0, -infinity);
          if (round == 3) base.masked_fill_(base < -1.5, std::nanf(""));
          std::vector<LogitTerm> waiting, made;
          for (const auto kind : kinds) {
            auto pair = term_of(kind, rows, vocabulary, spread, random);
            waiting.push_back(std::move(pair.waits));
            made.push_back(std::move(pair.made));
          }
          std::vector<int32_t> tokens(static_cast<size_t>(rows), -7);
          (choose_by_bound(base, waiting, tokens.data()) ? by_bound : among_all) += 1;
          const FusedLogits all(base, Normalisation::raw, made);
          if (tokens[0] != -7) {
            for (int64_t row = 0; row < rows; ++row) {
              const auto scores = all.of_rows(std::vector<int64_t>{row}).scores()[0];
              const auto own = scores.masked_fill(scores.isnan(), -infinity);
              const float top = own.max().item<float>();
              const int64_t first = (own == top).nonzero()[0].item<int64_t>();
              ASSERT_EQ(tokens[static_cast<size_t>(row)], std::isfinite(top) ? first : -1)
                  << vocabulary << " tokens, spread " << spread << ", round " << round;
            }
          }
          if (base.isfinite().any(1).all().item<bool>()) {
            ASSERT_EQ(FusedLogits(base, Normalisation::raw, waiting).argmax(), all.argmax());
          }
        }
  EXPECT_GT(by_bound, 300);
  EXPECT_GT(among_all, 30);
}

TEST_F(BoundedChoice, MakesNoLogitsWhereAFewWillDo) {
  torch::manual_seed(12);
  Random random(12);
  const auto pair = term_of(Vocabulary::same, 3, 20000, 0.05, random);
  const auto base = normals({3, 20000}, 2.0);
  FusedLogits(base, Normalisation::log_softmax, {pair.waits}).argmax();
  EXPECT_TRUE(pair.waits.logits.waits());
  EXPECT_TRUE(torch::equal(pair.waits.logits.whole(), pair.made.logits.whole()));
  EXPECT_FALSE(pair.waits.logits.waits());
}

TEST_F(BoundedChoice, LeavesWhatNeedsAllLogits) {
  torch::manual_seed(13);
  Random random(13);
  const auto base = normals({2, 3000}, 2.0);
  std::vector<int32_t> tokens(2, -7);
  const auto pair = term_of(Vocabulary::same, 2, 3000, 0.05, random);
  const auto refused = [&](auto change) {
    LogitTerm term = pair.waits;
    change(term);
    return !choose_by_bound(base, {term}, tokens.data());
  };
  EXPECT_FALSE(choose_by_bound(base, {}, tokens.data()));
  EXPECT_FALSE(choose_by_bound(base, {pair.made}, tokens.data()));
  EXPECT_TRUE(refused([](auto& term) { term.reach = torch::Tensor(); }));
  EXPECT_TRUE(refused([](auto& term) { term.normalisation = Normalisation::log_softmax; }));
  EXPECT_TRUE(refused([](auto& term) { term.gate = {GateRule::unsure, 0.5f}; }));
  EXPECT_TRUE(refused([](auto& term) { term.variant.unmapped = Unmapped::minimum; }));
  for (const float odd : {infinity, std::nanf("")}) {
    LogitTerm term = pair.waits;
    auto states = term.logits.states().clone();
    states[1][3] = odd;
    term.logits = LazyLogits(states, term.logits.matrix(), nullptr);
    EXPECT_FALSE(choose_by_bound(base, {term}, tokens.data()));
  }
  EXPECT_EQ(tokens, std::vector<int32_t>(2, -7));
}

}  // namespace cmc::fusion
