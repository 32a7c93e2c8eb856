#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <vector>

#include "pipeline/kernels/fused_body.hpp"
#include "tests/kernels/host_order.hpp"

// Fused scores of drawn numbers, and what a plain reading of their definition makes of them.
namespace cmc::kernels::tests {

struct TermCase {
  enum class Map { same, one_to_one, one_to_many } map = Map::same;
  int64_t width = 0;       // 0: as the base's vocabulary
  bool some_rows = false;  // else the term is for all rows
  int64_t top = 0;
  Unmapped unmapped = Unmapped::zero;
  bool log_softmax = false;
};

struct FusedWorld {
  struct Term {
    std::vector<float> logits, coefficients;
    std::vector<int32_t> row_of, map, candidates;
    std::vector<int64_t> offsets;
  };
  std::vector<float> base;
  std::vector<std::unique_ptr<Term>> terms;
  std::vector<unsigned char> workspace;
  FusedScores scores;

  // Logits are multiples of `step` where it is not 0, so that many scores are equal.
  FusedWorld(int64_t rows, int64_t vocabulary, const std::vector<TermCase>& cases, uint64_t seed, float step = 0.0f)
      : base(logits(rows * vocabulary, seed, step)), workspace(static_cast<size_t>(rows) * sizeof(FusedRow), 0) {
    Random random(seed);
    scores.base = base.data();
    scores.rows = rows, scores.vocabulary = vocabulary;
    scores.workspace = workspace.data();
    for (const auto& kind : cases) add(kind, random, step);
  }

  static std::vector<float> logits(int64_t count, uint64_t seed, float step) {
    auto values = normal<float>(count, seed, 3.0);
    if (step > 0.0f)
      for (float& x : values) x = std::round(x / step) * step;
    return values;
  }

  void add(const TermCase& kind, Random& random, float step) {
    auto& term = *terms.emplace_back(std::make_unique<Term>());
    auto& out = scores.terms[scores.term_count++];
    const int64_t rows = scores.rows;
    out.width = kind.width > 0 ? kind.width : scores.vocabulary;
    for (int32_t r = 0; r < rows; ++r) term.row_of.push_back(!kind.some_rows || random.below(3) > 0 ? 0 : -1);
    if (kind.some_rows) term.row_of[0] = 0;
    out.count = std::count(term.row_of.begin(), term.row_of.end(), 0);
    for (auto& row : term.row_of)
      if (row == 0)
        row = static_cast<int32_t>(out.count) - 1 - static_cast<int32_t>(term.coefficients.size()),
        term.coefficients.push_back(0);
    for (auto& alpha : term.coefficients) alpha = static_cast<float>(random.below(9)) * 0.25f - 0.5f;
    term.logits = logits(out.count * out.width, random.next(), step);
    if (kind.map == TermCase::Map::one_to_one) {
      for (int64_t v = 0; v < scores.vocabulary - 3; ++v)
        term.map.push_back(random.below(4) == 0 ? -1
                                                : static_cast<int32_t>(random.below(static_cast<uint64_t>(out.width))));
      out.map = term.map.data(), out.mapped = std::ssize(term.map);
    } else if (kind.map == TermCase::Map::one_to_many) {
      for (int64_t v = 0; v < scores.vocabulary; ++v) {
        term.offsets.push_back(std::ssize(term.candidates));
        for (uint64_t n = random.below(4); n > 0; --n)
          term.candidates.push_back(static_cast<int32_t>(random.below(static_cast<uint64_t>(out.width))));
      }
      term.offsets.push_back(std::ssize(term.candidates));
      out.candidates = term.candidates.data(), out.offsets = term.offsets.data(), out.mapped = scores.vocabulary;
    }
    out.logits = term.logits.data(), out.coefficients = term.coefficients.data();
    out.row_of = kind.some_rows ? term.row_of.data() : nullptr;
    out.top = kind.top, out.unmapped = kind.unmapped, out.log_softmax = kind.log_softmax;
  }

  float raw(int64_t row, int64_t v) const { return base[static_cast<size_t>(row * scores.vocabulary + v)]; }

  // The fused scores of a row, float32, each product and sum rounded.
  std::vector<float> fused(int64_t row) const {
    std::vector<float> sum;
    for (int64_t v = 0; v < scores.vocabulary; ++v) sum.push_back(raw(row, v));
    for (int t = 0; t < scores.term_count; ++t) {
      const auto& term = scores.terms[t];
      const int64_t k = term.row_of == nullptr ? row : term.row_of[row];
      if (k < 0) continue;
      const auto own = own_logits(term, row, k);
      const float fill = fill_of(own, term.unmapped);
      for (size_t v = 0; v < sum.size(); ++v) sum[v] += term.coefficients[k] * own[v].value_or(fill);
    }
    return sum;
  }

 private:
  // The delta's logits of base tokens; empty: unmapped.
  std::vector<std::optional<float>> own_logits(const FusedTerm& term, int64_t row, int64_t k) const {
    const float* logits = term.logits + k * term.width;
    double sum = 0.0;
    for (int64_t i = 0; i < term.width; ++i) sum += std::exp(static_cast<double>(logits[i]));
    const float offset = term.log_softmax ? static_cast<float>(std::log(sum)) : 0.0f;
    std::vector<std::optional<float>> own(static_cast<size_t>(scores.vocabulary));
    for (int64_t v = 0; v < scores.vocabulary; ++v) {
      std::vector<int64_t> ids;
      if (term.candidates != nullptr)
        ids.assign(term.candidates + term.offsets[v], term.candidates + term.offsets[v + 1]);
      else if (term.map == nullptr && v < term.width)
        ids = {v};
      else if (term.map != nullptr && v < term.mapped && term.map[v] >= 0)
        ids = {term.map[v]};
      for (const int64_t id : ids)
        own[static_cast<size_t>(v)] = std::max(own[static_cast<size_t>(v)].value_or(-INFINITY), logits[id] - offset);
    }
    if (term.top == 0) return own;
    std::vector<int64_t> order(own.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return raw(row, a) > raw(row, b); });
    for (size_t i = static_cast<size_t>(term.top); i < order.size(); ++i) own[static_cast<size_t>(order[i])].reset();
    return own;
  }
  static float fill_of(const std::vector<std::optional<float>>& own, Unmapped unmapped) {
    double sum = 0.0, count = 0.0;
    float smallest = INFINITY;
    for (const auto& logit : own) {
      if (!logit) continue;
      sum += *logit, count += 1.0;
      smallest = std::min(smallest, *logit);
    }
    if (unmapped == Unmapped::zero || count == 0.0) return 0.0f;
    return unmapped == Unmapped::minimum ? smallest : static_cast<float>(sum / count);
  }
};

}  // namespace cmc::kernels::tests
