#include "pipeline/model/packed_tile.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace cmc::model {

#if defined(__x86_64__)

namespace {

using Words512 __attribute__((vector_size(64))) = uint32_t;

// The first of two bfloat16 in a word, as float32 bits. GCC 12 warns of its own _mm512_slli_epi32.
__attribute__((target("avx512f"), always_inline)) inline __m512i first_512(__m512i words) {
  return reinterpret_cast<__m512i>(reinterpret_cast<Words512>(words) << 16);
}

// sum += x[:, input] · the strips' weights of this input
template <int ROWS, int STRIPS>
__attribute__((target("avx512f"), always_inline)) inline void add_products_512(const float* x, int64_t x_stride,
                                                                               const __m512 (&weights)[STRIPS],
                                                                               __m512 (&sum)[ROWS][STRIPS]) {
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r) {
    const __m512 value = _mm512_set1_ps(x[r * x_stride]);
#pragma GCC unroll 8
    for (int s = 0; s < STRIPS; ++s) {
      // In place: the compiler's choice among its three forms moves sums about and runs out of registers.
      asm volatile("vfmadd231ps %2, %1, %0" : "+v"(sum[r][s]) : "v"(value), "v"(weights[s]));
    }
  }
}

template <int ROWS, int STRIPS, bool NARROW>
__attribute__((target("avx512f"))) void multiply_512(const PackedTile& tile) {
  __m512 sum[ROWS][STRIPS], weights[STRIPS];
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 8
    for (int s = 0; s < STRIPS; ++s)
      sum[r][s] = tile.adds ? _mm512_loadu_ps(tile.out + r * tile.out_stride + s * 16) : _mm512_setzero_ps();
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
    for (int s = 0; s < STRIPS; ++s) {
      const __m512i word = _mm512_loadu_si512(words + s * tile.strip);
      weights[s] = _mm512_castsi512_ps(NARROW ? first_512(word) : word);
    }
    add_products_512(x++, x_stride, weights, sum);
    if constexpr (NARROW) {
#pragma GCC unroll 8
      for (int s = 0; s < STRIPS; ++s)
        weights[s] = _mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(words + s * tile.strip),
                                                          _mm512_set1_epi32(static_cast<int>(0xFFFF0000u))));
      add_products_512(x++, x_stride, weights, sum);
    }
  }
  if (NARROW && inputs % 2 == 1) {
#pragma GCC unroll 8
    for (int s = 0; s < STRIPS; ++s)
      weights[s] = _mm512_castsi512_ps(first_512(_mm512_loadu_si512(words + s * tile.strip)));
    add_products_512(x, x_stride, weights, sum);
  }
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 8
    for (int s = 0; s < STRIPS; ++s) _mm512_storeu_ps(tile.out + r * tile.out_stride + s * 16, sum[r][s]);
  }
}

using Multiply512 = void (*)(const PackedTile&);

template <bool NARROW, int STRIPS>
constexpr Multiply512 by_rows_512[] = {multiply_512<1, STRIPS, NARROW>, multiply_512<2, STRIPS, NARROW>,
                                       multiply_512<3, STRIPS, NARROW>, multiply_512<4, STRIPS, NARROW>,
                                       multiply_512<5, STRIPS, NARROW>, multiply_512<6, STRIPS, NARROW>,
                                       multiply_512<7, STRIPS, NARROW>, multiply_512<8, STRIPS, NARROW>};

template <bool NARROW>
constexpr const Multiply512* by_strips_512[] = {by_rows_512<NARROW, 1>, by_rows_512<NARROW, 2>, by_rows_512<NARROW, 3>};

}  // namespace

void avx512_tile(const PackedTile& tile, int64_t rows, int64_t strips, bool narrow) {
  (narrow ? by_strips_512<true> : by_strips_512<false>)[strips - 1][rows - 1](tile);
}

#else

void avx512_tile(const PackedTile&, int64_t, int64_t, bool) {}

#endif

}  // namespace cmc::model
