#include "pipeline/model/packed_gemm.hpp"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace cmc::model {

namespace {

constexpr int64_t width = PackedMatrix::panel_width;
constexpr int64_t row_block = 30;

uint32_t bits_of(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

}  // namespace

PackedMatrix::PackedMatrix(const float* weights, int64_t outputs, int64_t inputs) : outputs_(outputs), inputs_(inputs) {
  narrow_ = std::all_of(weights, weights + outputs * inputs, [](float w) { return (bits_of(w) & 0xFFFFu) == 0; });
  const int64_t words = narrow_ ? width / 2 : width;
  words_.assign(static_cast<size_t>(panels() * inputs * words), 0);
  for (int64_t output = 0; output < outputs; ++output) {
    uint32_t* panel = words_.data() + output / width * inputs * words;
    const int64_t lane = output % width;
    for (int64_t input = 0; input < inputs; ++input) {
      const uint32_t bits = bits_of(weights[output * inputs + input]);
      // Narrow: word `lane` holds output lane in its low half, output lane + 8 in its high half.
      if (!narrow_)
        panel[input * words + lane] = bits;
      else if (lane < 8)
        panel[input * words + lane] |= bits >> 16;
      else
        panel[input * words + lane - 8] |= bits;
    }
  }
}

#if defined(__x86_64__)

namespace {

struct Panel {
  const uint32_t* words;  // this panel's, and `stride` words on the next one's
  int64_t stride;
  const char* ahead;  // weights that are wanted next, fetched while this panel is multiplied: so many bytes an input
  int64_t ahead_step;
};

// ROWS rows of x times PANELS panels: the accumulators stay in registers.
template <int ROWS, int PANELS, bool NARROW>
__attribute__((target("avx2,fma"))) void tile(const float* x, int64_t inputs, Panel panel, float* out,
                                              int64_t out_stride) {
  __m256 sum[ROWS][PANELS][2];
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 8
    for (int p = 0; p < PANELS; ++p) sum[r][p][0] = sum[r][p][1] = _mm256_setzero_ps();
  }
  const __m256i high = _mm256_set1_epi32(static_cast<int>(0xFFFF0000u));
  for (int64_t i = 0; i < inputs; ++i) {
    // With few rows memory alone sets the pace, and the processor's own prefetching does better.
    if constexpr (PANELS == 1) _mm_prefetch(panel.ahead + i * panel.ahead_step, _MM_HINT_T1);
#pragma GCC unroll 8
    for (int p = 0; p < PANELS; ++p) {
      __m256 low_half, high_half;
      if constexpr (NARROW) {
        const __m256i pair =
            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(panel.words + p * panel.stride + i * 8));
        low_half = _mm256_castsi256_ps(_mm256_slli_epi32(pair, 16));
        high_half = _mm256_castsi256_ps(_mm256_and_si256(pair, high));
      } else {
        const float* w = reinterpret_cast<const float*>(panel.words + p * panel.stride + i * 16);
        low_half = _mm256_loadu_ps(w);
        high_half = _mm256_loadu_ps(w + 8);
      }
#pragma GCC unroll 8
      for (int r = 0; r < ROWS; ++r) {
        const __m256 value = _mm256_broadcast_ss(x + r * inputs + i);
        sum[r][p][0] = _mm256_fmadd_ps(value, low_half, sum[r][p][0]);
        sum[r][p][1] = _mm256_fmadd_ps(value, high_half, sum[r][p][1]);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 8
    for (int p = 0; p < PANELS; ++p) {
      _mm256_storeu_ps(out + r * out_stride + p * 16, sum[r][p][0]);
      _mm256_storeu_ps(out + r * out_stride + p * 16 + 8, sum[r][p][1]);
    }
  }
}

// The tile for `rows` rows (1 to 6); several panels at once when few rows would leave the multipliers idle.
template <bool NARROW>
void tiles(const float* x, int64_t rows, int64_t inputs, Panel panel, int64_t count, float* out, int64_t out_stride) {
  switch (rows * 10 + count) {
    case 14:
      return tile<1, 4, NARROW>(x, inputs, panel, out, out_stride);
    case 11:
      return tile<1, 1, NARROW>(x, inputs, panel, out, out_stride);
    case 23:
      return tile<2, 3, NARROW>(x, inputs, panel, out, out_stride);
    case 21:
      return tile<2, 1, NARROW>(x, inputs, panel, out, out_stride);
    case 31:
      return tile<3, 1, NARROW>(x, inputs, panel, out, out_stride);
    case 41:
      return tile<4, 1, NARROW>(x, inputs, panel, out, out_stride);
    case 51:
      return tile<5, 1, NARROW>(x, inputs, panel, out, out_stride);
    default:
      return tile<6, 1, NARROW>(x, inputs, panel, out, out_stride);
  }
}

int64_t panels_at_once(int64_t rows) {
  return rows == 1 ? 4 : rows == 2 ? 3 : 1;
}

}  // namespace

bool PackedMatrix::supported() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

void PackedMatrix::multiply(const float* x, int64_t rows, float* y, int64_t first, int64_t last) const {
  const int64_t stride = inputs_ * (narrow_ ? width / 2 : width);
  if (rows > row_block) {  // few enough rows at a time that they stay in the second-level cache
    for (int64_t row = 0; row < rows; row += row_block) {
      multiply(x + row * inputs_, std::min(row_block, rows - row), y + row * outputs_, first, last);
    }
    return;
  }
  const int64_t blocks = (rows + 5) / 6;  // rows dealt evenly: 16 = 6 + 5 + 5
  const int64_t whole = outputs_ / width;
  for (int64_t panel = first; panel < last;) {
    int64_t count = rows <= 2 ? panels_at_once(rows) : 1;
    if (panel + count > std::min(last, whole)) count = 1;
    const uint32_t* words = words_.data() + panel * stride;
    float ragged[6 * width];  // the last panel may be wider than the matrix
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t begin = block * rows / blocks, size = (block + 1) * rows / blocks - begin;
      const bool cut = panel == whole;
      // Each block of rows fetches its part of the next panel, so that memory is busy all the time.
      const int64_t step = (count * stride * 4 / inputs_ + blocks - 1) / blocks;
      const char* ahead = reinterpret_cast<const char*>(words + count * stride) + block * step * inputs_;
      float* out = cut ? ragged : y + begin * outputs_ + panel * width;
      const int64_t out_stride = cut ? width : outputs_;
      if (narrow_)
        tiles<true>(x + begin * inputs_, size, inputs_, {words, stride, ahead, step}, count, out, out_stride);
      else
        tiles<false>(x + begin * inputs_, size, inputs_, {words, stride, ahead, step}, count, out, out_stride);
      for (int64_t r = 0; cut && r < size; ++r) {
        std::copy_n(ragged + r * width, outputs_ - whole * width, y + (begin + r) * outputs_ + whole * width);
      }
    }
    panel += count;
  }
}

#else

bool PackedMatrix::supported() {
  return false;
}
void PackedMatrix::multiply(const float*, int64_t, float*, int64_t, int64_t) const {}

#endif

}  // namespace cmc::model
