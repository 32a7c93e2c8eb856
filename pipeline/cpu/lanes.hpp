#pragma once
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstdint>

namespace cmc::cpu::simd {

// Eight numbers of a row from place `at`, or as many as are left: the others are zeros and are not written. For regions
// compiled for AVX2 and FMA.
class Lanes {
 public:
  __attribute__((target("avx2,fma"))) Lanes(int64_t at, int64_t width)
      : at_(at),
        whole_(width - at >= 8),
        mask_(_mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(width - at < 8 ? width - at : 8)),
                                 _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))) {}
  __attribute__((target("avx2,fma"))) __m256 of(const float* row) const {
    return whole_ ? _mm256_loadu_ps(row + at_) : _mm256_maskload_ps(row + at_, mask_);
  }
  // Masked stores take some processors many times as long.
  __attribute__((target("avx2,fma"))) void put(float* row, __m256 values) const {
    if (whole_)
      _mm256_storeu_ps(row + at_, values);
    else
      _mm256_maskstore_ps(row + at_, mask_, values);
  }
  __attribute__((target("avx2,fma"))) void add(float* row, __m256 values) const {
    put(row, _mm256_add_ps(of(row), values));
  }
  __attribute__((target("avx2,fma"))) __m256 kept(__m256 values) const { return or_else(values, _mm256_setzero_ps()); }
  // Where no number is, `other`.
  __attribute__((target("avx2,fma"))) __m256 or_else(__m256 values, __m256 other) const {
    return whole_ ? values : _mm256_blendv_ps(other, values, _mm256_castsi256_ps(mask_));
  }

 private:
  int64_t at_;
  bool whole_;
  __m256i mask_;
};

}  // namespace cmc::cpu::simd
#endif
