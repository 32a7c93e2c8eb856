#include "pipeline/cpu/attention_kernel.hpp"

#include <algorithm>
#include <cmath>

#include "pipeline/cpu/simd.hpp"

namespace cmc::cpu {

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2,fma")

namespace {

// Four dot products of one query with consecutive keys; their lanes are folded together.
inline __m128 four_products(const float* query, const float* keys, int64_t stride, int64_t dim) {
  __m256 sums[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
  for (int64_t d = 0; d < dim; d += 8) {
    const __m256 q = _mm256_loadu_ps(query + d);
    sums[0] = _mm256_fmadd_ps(q, _mm256_loadu_ps(keys + d), sums[0]);
    sums[1] = _mm256_fmadd_ps(q, _mm256_loadu_ps(keys + stride + d), sums[1]);
    sums[2] = _mm256_fmadd_ps(q, _mm256_loadu_ps(keys + 2 * stride + d), sums[2]);
    sums[3] = _mm256_fmadd_ps(q, _mm256_loadu_ps(keys + 3 * stride + d), sums[3]);
  }
  const __m256 folded = _mm256_hadd_ps(_mm256_hadd_ps(sums[0], sums[1]), _mm256_hadd_ps(sums[2], sums[3]));
  return _mm_add_ps(_mm256_castps256_ps128(folded), _mm256_extractf128_ps(folded, 1));
}

inline float product(const float* query, const float* key, int64_t dim) {
  __m256 sum = _mm256_setzero_ps();
  for (int64_t d = 0; d < dim; d += 8) sum = _mm256_fmadd_ps(_mm256_loadu_ps(query + d), _mm256_loadu_ps(key + d), sum);
  return simd::sum(sum);
}

// scores[g, j] = scale q_g·k_j; all heads of the group while the keys are in the first-level cache.
void score(const AttentionRow& row, float* scores) {
  const int64_t length = row.last - row.first, dim = row.head_dim;
  const float* keys = row.keys + row.first * row.stride;
  const __m128 scale = _mm_set1_ps(row.scale);
  const int64_t whole = length / 4 * 4;
  for (int64_t j = 0; j < whole; j += 4) {
    for (int64_t g = 0; g < row.group; ++g) {
      const __m128 four = four_products(row.query + g * dim, keys + j * row.stride, row.stride, dim);
      _mm_storeu_ps(scores + g * length + j, _mm_mul_ps(four, scale));
    }
  }
  for (int64_t j = whole; j < length; ++j) {
    for (int64_t g = 0; g < row.group; ++g) {
      scores[g * length + j] = row.scale * product(row.query + g * dim, keys + j * row.stride, dim);
    }
  }
}

// What some models do to scores.
void bend(const AttentionRow& row, float* scores) {
  const int64_t length = row.last - row.first;
  for (int64_t g = 0; g < row.group; ++g) {
    float* own = scores + g * length;
    const float* bias = row.bias != nullptr ? row.bias + g * row.bias_stride + row.first : nullptr;
    for (int64_t j = 0; j < length && row.softcap > 0.0f; ++j) own[j] = row.softcap * std::tanh(own[j] / row.softcap);
    for (int64_t j = 0; j < length && bias != nullptr; ++j) own[j] += bias[j];
  }
}

// exp(score - maximum) in place; → 1 / their sum, with the sink's where there is one.
float exponentiate(float* scores, int64_t length, const float* sink) {
  float top = sink != nullptr ? std::max(*sink, scores[0]) : scores[0];
  for (int64_t j = 1; j < length; ++j) top = std::max(top, scores[j]);
  const __m256 shift = _mm256_set1_ps(top);
  __m256 sums = _mm256_setzero_ps();
  const int64_t whole = length / 8 * 8;
  for (int64_t j = 0; j < whole; j += 8) {
    const __m256 e = simd::exp(_mm256_sub_ps(_mm256_loadu_ps(scores + j), shift));
    _mm256_storeu_ps(scores + j, e);
    sums = _mm256_add_ps(sums, e);
  }
  float total = simd::sum(sums) + (sink != nullptr ? std::exp(*sink - top) : 0.0f);
  for (int64_t j = whole; j < length; ++j) total += scores[j] = std::exp(scores[j] - top);
  return 1.0f / total;
}

// out[g, 0 .. 8 VECTORS) += sum over j of weights[g, j] values[j, 0 .. 8 VECTORS) for GROUP heads at once.
template <int GROUP, int VECTORS>
inline void mix_columns(const float* weights, int64_t length, const float* values, int64_t stride, int64_t rows,
                        int64_t dim, float* out) {
  __m256 sums[GROUP][VECTORS];
#pragma GCC unroll 8
  for (int g = 0; g < GROUP; ++g) {
#pragma GCC unroll 8
    for (int v = 0; v < VECTORS; ++v) sums[g][v] = _mm256_loadu_ps(out + g * dim + 8 * v);
  }
  for (int64_t j = 0; j < rows; ++j) {
    const float* row = values + j * stride;
#pragma GCC unroll 8
    for (int g = 0; g < GROUP; ++g) {
      const __m256 weight = _mm256_broadcast_ss(weights + g * length + j);
#pragma GCC unroll 8
      for (int v = 0; v < VECTORS; ++v) sums[g][v] = _mm256_fmadd_ps(weight, _mm256_loadu_ps(row + 8 * v), sums[g][v]);
    }
  }
#pragma GCC unroll 8
  for (int g = 0; g < GROUP; ++g) {
#pragma GCC unroll 8
    for (int v = 0; v < VECTORS; ++v) _mm256_storeu_ps(out + g * dim + 8 * v, sums[g][v]);
  }
}

// Values in blocks that stay in the first-level cache while every head and column reads them. Enough sums at once that
// none waits for its own last product.
template <int GROUP>
void mix(const AttentionRow& row, const float* weights, float* out) {
  constexpr int vectors = GROUP == 1 ? 8 : GROUP == 2 ? 4 : 3;
  const int64_t length = row.last - row.first, dim = row.head_dim;
  const int64_t block = std::max<int64_t>(8, 4096 / dim);
  const float* values = row.values + row.first * row.stride;
  for (int64_t j = 0; j < length; j += block) {
    const int64_t rows = std::min(block, length - j);
    const float* from = values + j * row.stride;
    int64_t c = 0;
    for (; c + 8 * vectors <= dim; c += 8 * vectors)
      mix_columns<GROUP, vectors>(weights + j, length, from + c, row.stride, rows, dim, out + c);
    for (; c + 16 <= dim; c += 16) mix_columns<GROUP, 2>(weights + j, length, from + c, row.stride, rows, dim, out + c);
    for (; c < dim; c += 8) mix_columns<GROUP, 1>(weights + j, length, from + c, row.stride, rows, dim, out + c);
  }
}

}  // namespace

void attend_row(const AttentionRow& row, std::vector<float>& scratch, float* out) {
  const int64_t length = row.last - row.first;
  if (static_cast<int64_t>(scratch.size()) < row.group * length)
    scratch.resize(static_cast<size_t>(row.group * length));
  float* scores = scratch.data();
  score(row, scores);
  bend(row, scores);
  std::fill_n(out, row.group * row.head_dim, 0.0f);
  for (int64_t g = 0; g < row.group;) {
    const int64_t heads = std::min<int64_t>(4, row.group - g);
    const float* weights = scores + g * length;
    float* to = out + g * row.head_dim;
    float inverse[4];
    for (int64_t h = 0; h < heads; ++h)
      inverse[h] = exponentiate(scores + (g + h) * length, length, row.sinks != nullptr ? row.sinks + g + h : nullptr);
    if (heads == 1) mix<1>(row, weights, to);
    if (heads == 2) mix<2>(row, weights, to);
    if (heads == 3) mix<3>(row, weights, to);
    if (heads == 4) mix<4>(row, weights, to);
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t d = 0; d < row.head_dim; ++d) to[h * row.head_dim + d] *= inverse[h];
    }
    g += heads;
  }
}

#pragma GCC pop_options
#else

void attend_row(const AttentionRow&, std::vector<float>&, float*) {}

#endif

}  // namespace cmc::cpu
