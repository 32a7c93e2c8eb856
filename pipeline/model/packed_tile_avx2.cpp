#include "pipeline/model/packed_tile.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace cmc::model {

#if defined(__x86_64__)

namespace {

// sum += x[:, input] · the strips' weights of this input, a strip in two registers
template <int ROWS, int HALVES>
__attribute__((target("avx2,fma"), always_inline)) inline void add_products_256(const float* x, int64_t x_stride,
                                                                                const __m256 (&weights)[HALVES],
                                                                                __m256 (&sum)[ROWS][HALVES]) {
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r) {
    const __m256 value = _mm256_broadcast_ss(x + r * x_stride);
#pragma GCC unroll 8
    for (int h = 0; h < HALVES; ++h) {
      // In place: the compiler's choice among its three forms moves sums about and runs out of registers.
      asm volatile("vfmadd231ps %2, %1, %0" : "+x"(sum[r][h]) : "x"(value), "x"(weights[h]));
    }
  }
}

__attribute__((target("avx2"), always_inline)) inline __m256i eight_words(const uint32_t* words) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words));
}

template <int ROWS, int STRIPS, bool NARROW>
__attribute__((target("avx2,fma"))) void multiply_256(const PackedTile& tile) {
  constexpr int halves = 2 * STRIPS;
  __m256 sum[ROWS][halves], weights[halves];
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 8
    for (int h = 0; h < halves; ++h)
      sum[r][h] = tile.adds ? _mm256_loadu_ps(tile.out + r * tile.out_stride + h * 8) : _mm256_setzero_ps();
  }
  const int64_t steps = NARROW ? tile.inputs / 2 : tile.inputs, inputs = tile.inputs, x_stride = tile.x_stride;
  const float* x = tile.x;
  const uint32_t* words = tile.words;
  const char* ahead = tile.ahead;
  const int64_t ahead_step = tile.ahead_step, ahead_line = ahead_step / STRIPS;
  for (int64_t step = 0; step < steps; ++step, words += 16) {
#pragma GCC unroll 4
    for (int line = 0; line < STRIPS; ++line) _mm_prefetch(ahead + line * ahead_line, _MM_HINT_T1);
    ahead += ahead_step;
#pragma GCC unroll 8
    for (int h = 0; h < halves; ++h) {
      const __m256i word = eight_words(words + h / 2 * tile.strip + h % 2 * 8);
      weights[h] = _mm256_castsi256_ps(NARROW ? _mm256_slli_epi32(word, 16) : word);
    }
    add_products_256(x++, x_stride, weights, sum);
    if constexpr (NARROW) {
#pragma GCC unroll 8
      for (int h = 0; h < halves; ++h)
        weights[h] = _mm256_castsi256_ps(_mm256_and_si256(eight_words(words + h / 2 * tile.strip + h % 2 * 8),
                                                          _mm256_set1_epi32(static_cast<int>(0xFFFF0000u))));
      add_products_256(x++, x_stride, weights, sum);
    }
  }
  if (NARROW && inputs % 2 == 1) {
#pragma GCC unroll 8
    for (int h = 0; h < halves; ++h)
      weights[h] = _mm256_castsi256_ps(_mm256_slli_epi32(eight_words(words + h / 2 * tile.strip + h % 2 * 8), 16));
    add_products_256(x, x_stride, weights, sum);
  }
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 8
    for (int h = 0; h < halves; ++h) _mm256_storeu_ps(tile.out + r * tile.out_stride + h * 8, sum[r][h]);
  }
}

}  // namespace

void avx2_tile(const PackedTile& tile, int64_t rows, int64_t strips, bool narrow) {
  switch (rows * 10 + strips) {
#define CMC_TILE(ROWS, STRIPS) \
  case ROWS * 10 + STRIPS:     \
    return narrow ? multiply_256<ROWS, STRIPS, true>(tile) : multiply_256<ROWS, STRIPS, false>(tile)
    CMC_TILE(1, 1);
    CMC_TILE(1, 2);
    CMC_TILE(1, 3);
    CMC_TILE(1, 4);
    CMC_TILE(2, 1);
    CMC_TILE(2, 2);
    CMC_TILE(2, 3);
    CMC_TILE(3, 1);
    CMC_TILE(4, 1);
    CMC_TILE(5, 1);
    CMC_TILE(6, 1);
#undef CMC_TILE
  }
}

#else

void avx2_tile(const PackedTile&, int64_t, int64_t, bool) {}

#endif

}  // namespace cmc::model
