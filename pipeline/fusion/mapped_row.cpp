#include "pipeline/fusion/mapped_row.hpp"

#include <algorithm>
#include <utility>

namespace cmc::fusion {
namespace {

// Gathers the delta logits of a position, as they come.
class Fill {
 public:
  explicit Fill(Unmapped unmapped) : unmapped_(unmapped) {}

  void add(const std::optional<float>& logit) {
    if (!logit) return;
    minimum_ = count_ == 0 ? *logit : std::min(minimum_, *logit);
    sum_ += *logit;
    ++count_;
  }

  float value() const {
    if (unmapped_ == Unmapped::zero || count_ == 0) return 0.0f;
    return unmapped_ == Unmapped::minimum ? minimum_ : static_cast<float>(sum_ / static_cast<double>(count_));
  }

 private:
  Unmapped unmapped_;
  float minimum_ = 0.0f;
  double sum_ = 0.0;
  int64_t count_ = 0;
};

}  // namespace

std::optional<float> MappedRow::of(int64_t v) const {
  if (v >= size) return {};
  if (offsets == nullptr) return ids[v] < 0 ? std::nullopt : std::optional(logits[ids[v]]);
  if (offsets[v] == offsets[v + 1]) return {};
  return largest(logits, ids + offsets[v], offsets[v + 1] - offsets[v]);
}

std::vector<int64_t> most_probable(const float* base, int64_t vocabulary, int64_t count) {
  // A heap with the least probable of those kept on top; ids ascend, so that an equal score never displaces a kept one.
  using Kept = std::pair<float, int64_t>;
  const auto more_probable = [](const Kept& a, const Kept& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  };
  std::vector<Kept> heap;
  for (int64_t v = 0; v < vocabulary; ++v) {
    if (std::ssize(heap) == count) {
      if (!(base[v] > heap.front().first)) continue;
      std::pop_heap(heap.begin(), heap.end(), more_probable);
      heap.pop_back();
    }
    heap.emplace_back(base[v], v);
    std::push_heap(heap.begin(), heap.end(), more_probable);
  }
  std::vector<int64_t> tokens;
  for (const auto& [score, token] : heap) tokens.push_back(token);
  std::sort(tokens.begin(), tokens.end());
  return tokens;
}

float fill_of(const MappedRow& row, const std::vector<int64_t>& tokens, Unmapped unmapped) {
  Fill fill(unmapped);
  for (const int64_t token : tokens) fill.add(row.of(token));
  return fill.value();
}

float fill_of_all(const MappedRow& row, Unmapped unmapped) {
  if (unmapped == Unmapped::zero) return 0.0f;
  Fill fill(unmapped);
  for (int64_t v = 0; v < row.size; ++v) fill.add(row.of(v));
  return fill.value();
}

KernelRow::Few few_of(const MappedRow& row, std::vector<int64_t> tokens, Unmapped unmapped, float coefficient) {
  const float fill = fill_of(row, tokens, unmapped);
  KernelRow::Few few{std::move(tokens), {}, coefficient * fill};
  for (const int64_t token : few.tokens) few.values.push_back(coefficient * row.of(token).value_or(fill));
  return few;
}

}  // namespace cmc::fusion
