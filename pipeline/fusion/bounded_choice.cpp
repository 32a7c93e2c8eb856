#include "pipeline/fusion/bounded_choice.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <span>

#include "pipeline/fusion/fused_kernels.hpp"

namespace cmc::fusion {
namespace {

constexpr int64_t piece = 32768;  // vocabulary entries of one work item
constexpr int64_t strip = cpu::PackedMatrix::strip_width;

bool has_bound(const LogitTerm& term) {
  return term.logits.waits() && term.reach.defined() && term.normalisation == Normalisation::raw &&
         term.variant.is_default() && term.gate.is_open() && (term.index.columns.defined() || !term.map.defined());
}

// Of the sums and products in float32 that a logit and its bound are made of, and some room.
double with_rounding(double bound, int64_t inputs) {
  return bound * (1.0 + 1e-5 + 1.2e-7 * static_cast<double>(inputs));
}

// What one term may add to a row of the base.
struct Addition {
  const LogitTerm* term;
  int64_t state;
};

struct BoundedRow {
  BoundRow bounds;
  std::vector<Addition> additions;
};

std::vector<BoundedRow> rows_of(const torch::Tensor& base, const std::vector<LogitTerm>& terms) {
  std::vector<BoundedRow> rows(static_cast<size_t>(base.size(0)));
  for (size_t r = 0; r < rows.size(); ++r)
    rows[r].bounds.base = base.const_data_ptr<float>() + static_cast<int64_t>(r) * base.size(1);
  for (const auto& term : terms) {
    const int64_t inputs = term.logits.states().size(1);
    for (size_t k = 0; k < term.rows.size(); ++k) {
      const float* state = term.logits.states().const_data_ptr<float>() + static_cast<int64_t>(k) * inputs;
      double squares = 0.0;
      for (int64_t i = 0; i < inputs; ++i) squares += static_cast<double>(state[i]) * state[i];
      const double scale = std::abs(term.coefficients[k]) * std::sqrt(squares);
      auto& row = rows[static_cast<size_t>(term.rows[k])];
      row.bounds.terms.push_back(
          {term.reach.const_data_ptr<float>(), static_cast<float>(with_rounding(scale, inputs))});
      row.additions.push_back({&term, static_cast<int64_t>(k)});
    }
  }
  return rows;
}

// The logit of one token of the delta, by the kernel that makes all of them.
class OneLogit {
 public:
  explicit OneLogit(const Addition& addition)
      : matrix_(*addition.term->logits.matrix()),
        state_(addition.term->logits.states().const_data_ptr<float>() + addition.state * matrix_.inputs()),
        coefficient_(addition.term->coefficients[static_cast<size_t>(addition.state)]) {
    const auto& columns = addition.term->index.columns;
    if (columns.defined()) columns_ = columns.const_data_ptr<int32_t>();
  }

  // What it adds to a base token's score.
  float operator()(int64_t token) {
    const int64_t column = columns_ != nullptr ? columns_[token] : token;
    if (column >= matrix_.outputs()) return 0.0f;
    if (column / strip != made_) {
      made_ = column / strip;
      matrix_.multiply_strip(state_, made_, logits_.data());
    }
    return coefficient_ * logits_[static_cast<size_t>(column % strip)];
  }

 private:
  const cpu::PackedMatrix& matrix_;
  const float* state_;
  float coefficient_;
  const int32_t* columns_ = nullptr;
  int64_t made_ = -1;  // strip
  std::array<float, strip> logits_{};
};

// The first best of the candidates, each summed as fuse() sums it.
int32_t best_of(const BoundedRow& row, const std::vector<int64_t>& candidates) {
  std::vector<OneLogit> logits(row.additions.begin(), row.additions.end());
  Best best{-std::numeric_limits<float>::infinity(), -1};
  for (const int64_t token : candidates) {
    float score = row.bounds.base[token];
    for (auto& logit : logits) score += logit(token);
    if (score > best.score) best = {score, token};
  }
  return best.token < 0 || !std::isfinite(best.score) ? -1 : static_cast<int32_t>(best.token);
}

}  // namespace

torch::Tensor reach_of(const cpu::PackedMatrix& matrix, const torch::Tensor& columns, int64_t vocabulary) {
  auto lengths = torch::zeros({matrix.outputs() + 1}, torch::kFloat32);  // of what is not mapped 0
  const int64_t strips = matrix.strips();
  at::parallel_for(0, strips, 64,
                   [&](int64_t first, int64_t last) { matrix.lengths(first, last, lengths.data_ptr<float>()); });
  return columns.defined() ? lengths.index_select(0, columns.to(torch::kInt64)) : lengths.narrow(0, 0, vocabulary);
}

bool choose_by_bound(const torch::Tensor& base, const std::vector<LogitTerm>& terms, int32_t* tokens) {
  if (terms.empty() || !std::ranges::all_of(terms, has_bound)) return false;
  const torch::Tensor held = base.contiguous();
  const auto rows = rows_of(held, terms);
  for (const auto& row : rows)
    for (const auto& term : row.bounds.terms)
      if (!std::isfinite(term.scale)) return false;
  const int64_t vocabulary = base.size(1), pieces = (vocabulary + piece - 1) / piece, count = std::ssize(rows);
  std::vector<Bounds> bounds(static_cast<size_t>(count * pieces));
  at::parallel_for(0, std::ssize(bounds), 1, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) {
      const int64_t begin = i % pieces * piece;
      bounds[static_cast<size_t>(i)] =
          bounds_in(rows[static_cast<size_t>(i / pieces)].bounds, begin, std::min(begin + piece, vocabulary));
    }
  });
  const int64_t most = vocabulary / 256 + strip;  // where all logits are the cheaper way
  std::vector<std::vector<int64_t>> candidates(rows.size());
  std::atomic<bool> few = true;
  at::parallel_for(0, count, 1, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to && few; ++r) {
      const std::span own(bounds.data() + r * pieces, static_cast<size_t>(pieces));
      float floor = -std::numeric_limits<float>::infinity();
      for (const auto& part : own) floor = std::max(floor, part.lower);
      auto& found = candidates[static_cast<size_t>(r)];
      for (const auto& part : own) find_candidates(rows[static_cast<size_t>(r)].bounds, part, floor, most, found);
      if (std::ssize(found) > most) few = false;
    }
  });
  if (!few) return false;
  at::parallel_for(0, count, 1, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; ++r)
      tokens[r] = best_of(rows[static_cast<size_t>(r)], candidates[static_cast<size_t>(r)]);
  });
  return true;
}

}  // namespace cmc::fusion
