#include "pipeline/fusion/fused_kernels.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace cmc::fusion {
namespace {

constexpr int64_t block = 512;  // scores held at once: 2 KiB, stays in the first-level cache
constexpr int64_t lanes = 16;   // independent maxima and sums, so that the compiler may vectorise
constexpr float lowest = -std::numeric_limits<float>::infinity();

// Compiled for AVX2 beside what every processor has, chosen at run time. Not for FMA, which would round otherwise.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CMC_WIDE __attribute__((target_clones("avx2", "default")))
#define CMC_PART __attribute__((always_inline)) inline
#else
#define CMC_WIDE
#define CMC_PART inline
#endif

// exp(x) for x <= 0 with relative error below 3e-7; zero below -87. Branch-free, so that loops over it vectorise (the
// library's expf does not without -ffast-math). Range reduction and polynomial as in Cephes' expf.
CMC_PART float exp_not_above_one(float x) {
  const float clamped = x < -87.0f ? -87.0f : x;
  const float shifted = clamped * 1.44269504088896341f + 12582912.0f;  // 1.5 · 2^23: rounds to an integer
  const float n = shifted - 12582912.0f;
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const float power = std::bit_cast<float>((std::bit_cast<int32_t>(shifted) - 0x4B400000 + 127) << 23);
  return x < -87.0f ? 0.0f : p * power;
}

CMC_PART float maximum_of(const float* values, int64_t count) {
  std::array<float, lanes> top;
  top.fill(lowest);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    for (int64_t l = 0; l < lanes; ++l) top[l] = values[i + l] > top[l] ? values[i + l] : top[l];
  for (; i < count; ++i) top[0] = values[i] > top[0] ? values[i] : top[0];
  return *std::max_element(top.begin(), top.end());
}

void add_lists(const KernelRow::Lists& lists, int64_t begin, int64_t end, float* out) {
  for (int64_t v = begin; v < end; ++v) {
    const int64_t from = lists.offsets[v], count = lists.offsets[v + 1] - from;
    out[v - begin] += count == 0 ? lists.others : lists.coefficient * largest(lists.values, lists.ids + from, count);
  }
}

void add_few(const KernelRow::Few& few, int64_t begin, int64_t end, float* out) {
  int64_t done = begin;
  const auto add_others = [&](int64_t until) {
    for (; done < until; ++done) out[done - begin] += few.others;
  };
  auto at = static_cast<size_t>(std::lower_bound(few.tokens.begin(), few.tokens.end(), begin) - few.tokens.begin());
  for (; at < few.tokens.size() && few.tokens[at] < end; ++at) {
    add_others(few.tokens[at]);
    out[done++ - begin] += few.values[at];
  }
  add_others(end);
}

CMC_PART double sum_of_exponentials(const float* values, int64_t count, float maximum) {
  std::array<float, lanes> sums{};
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    for (int64_t l = 0; l < lanes; ++l) sums[l] += exp_not_above_one(values[i + l] - maximum);
  for (; i < count; ++i) sums[0] += exp_not_above_one(values[i] - maximum);
  double total = 0.0;
  for (const float sum : sums) total += sum;
  return total;
}

CMC_PART void fuse_part(const KernelRow& row, int64_t begin, int64_t end, float* out) {
  const int64_t count = end - begin;
  const float* sum = row.base + begin;  // with what has been added: `out` from the first addend on
  for (const auto& addend : row.addends) {
    if (addend.index == nullptr) {
      const float* values = addend.values + begin;
      const float coefficient = addend.coefficient, offset = addend.offset;
      for (int64_t i = 0; i < count; ++i) out[i] = sum[i] + coefficient * (values[i] - offset);
    } else {
      const int32_t* index = addend.index + begin;
      for (int64_t i = 0; i < count; ++i) out[i] = sum[i] + addend.values[index[i]];
    }
    sum = out;
  }
  if (sum != out) std::copy(sum, sum + count, out);
  for (const auto& lists : row.lists) add_lists(lists, begin, end, out);
  for (const auto& few : row.few) add_few(few, begin, end, out);
}

// How far fused scores may lie from the base's, rounding of a few sums included.
CMC_PART void add_reaches(const BoundRow& row, int64_t begin, int64_t end, float* out) {
  const int64_t count = end - begin;
  const float* base = row.base + begin;
  for (int64_t i = 0; i < count; ++i) out[i] = 1e-6f * std::abs(base[i]);
  for (const auto& term : row.terms) {
    const float* reach = term.reach + begin;
    const float scale = term.scale;
    for (int64_t i = 0; i < count; ++i) out[i] += scale * reach[i];
  }
}

}  // namespace

float largest(const float* values, const int32_t* ids, int64_t count) {
  float top = values[ids[0]];
  for (int64_t i = 1; i < count; ++i)
    if (const float value = values[ids[i]]; value > top || std::isnan(value)) top = value;
  return top;
}

CMC_WIDE void fuse(const KernelRow& row, int64_t begin, int64_t end, float* out) {
  fuse_part(row, begin, end, out);
}

CMC_WIDE Best best_in(const KernelRow& row, int64_t begin, int64_t end) {
  Best best{lowest, -1};
  std::array<float, block> scores;
  for (int64_t at = begin; at < end; at += block) {
    const int64_t stop = std::min(at + block, end);
    fuse_part(row, at, stop, scores.data());
    const float top = maximum_of(scores.data(), stop - at);
    if (top > best.score)
      best = {top, at + std::find(scores.begin(), scores.begin() + (stop - at), top) - scores.begin()};
  }
  return best;
}

CMC_WIDE LogSum log_sum_in(const KernelRow& row, int64_t begin, int64_t end) {
  LogSum total{lowest, 0.0};
  std::array<float, block> scores;
  for (int64_t at = begin; at < end; at += block) {
    const int64_t stop = std::min(at + block, end);
    fuse_part(row, at, stop, scores.data());
    const float top = maximum_of(scores.data(), stop - at);
    if (top > total.maximum) {
      total.sum *= total.sum == 0.0 ? 0.0 : std::exp(static_cast<double>(total.maximum) - top);
      total.maximum = top;
    }
    if (total.maximum > lowest)
      total.sum += sum_of_exponentials(scores.data(), stop - at, total.maximum);
    else if (std::any_of(scores.begin(), scores.begin() + (stop - at), [](float score) { return std::isnan(score); }))
      total.sum = std::numeric_limits<double>::quiet_NaN();
  }
  return total;
}

CMC_WIDE Bounds bounds_in(const BoundRow& row, int64_t begin, int64_t end) {
  Bounds bounds{begin, end, lowest, {}};
  bounds.upper.reserve(static_cast<size_t>((end - begin + bound_block - 1) / bound_block));
  std::array<float, bound_block> reaches, scores;
  for (int64_t at = begin; at < end; at += bound_block) {
    const int64_t count = std::min(bound_block, end - at);
    add_reaches(row, at, at + count, reaches.data());
    for (int64_t i = 0; i < count; ++i) scores[i] = row.base[at + i] - reaches[i];
    bounds.lower = std::max(bounds.lower, maximum_of(scores.data(), count));
    for (int64_t i = 0; i < count; ++i) scores[i] = row.base[at + i] + reaches[i];
    bounds.upper.push_back(maximum_of(scores.data(), count));
  }
  return bounds;
}

CMC_WIDE void find_candidates(const BoundRow& row, const Bounds& bounds, float floor, int64_t most,
                              std::vector<int64_t>& found) {
  std::array<float, bound_block> reaches;
  for (size_t block = 0; block < bounds.upper.size() && std::ssize(found) <= most; ++block) {
    if (bounds.upper[block] < floor) continue;
    const int64_t begin = bounds.begin + static_cast<int64_t>(block) * bound_block;
    const int64_t end = std::min(begin + bound_block, bounds.end);
    add_reaches(row, begin, end, reaches.data());
    for (int64_t v = begin; v < end; ++v)
      if (row.base[v] + reaches[v - begin] >= floor) found.push_back(v);
  }
}

double joined(const std::vector<LogSum>& pieces) {
  float maximum = lowest;
  for (const auto& piece : pieces) maximum = std::max(maximum, piece.maximum);
  double sum = 0.0;
  for (const auto& piece : pieces)
    if (piece.sum != 0.0)  // also where it is NaN
      sum += piece.sum * std::exp(static_cast<double>(piece.maximum) - maximum);
  return maximum + std::log(sum);
}

}  // namespace cmc::fusion
