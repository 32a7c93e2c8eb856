#include "pipeline/cpu/row_losses.hpp"

#include <cmath>
#include <limits>

#include "pipeline/cpu/lanes.hpp"
#include "pipeline/cpu/simd.hpp"

namespace cmc::cpu {

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2,fma")

namespace {

using simd::Lanes;

float largest_of(const float* z, int64_t width) {
  const __m256 lowest = _mm256_set1_ps(std::numeric_limits<float>::lowest());
  __m256 largest = lowest;
  for (int64_t i = 0; i < width; i += 8) {
    const Lanes lanes(i, width);
    largest = _mm256_max_ps(largest, lanes.or_else(lanes.of(z), lowest));
  }
  return simd::maximum(largest);
}

// Σ exp(z - shift); `put`: where the terms go, null: nowhere.
float exponentiated(const float* z, float shift, int64_t width, float* put) {
  __m256 sums = _mm256_setzero_ps();
  for (int64_t i = 0; i < width; i += 8) {
    const Lanes lanes(i, width);
    const __m256 term = simd::exp(_mm256_sub_ps(lanes.of(z), _mm256_set1_ps(shift)));
    if (put != nullptr) lanes.put(put, term);
    sums = _mm256_add_ps(sums, lanes.kept(term));
  }
  return simd::sum(sums);
}

}  // namespace

float normaliser_of(const float* z, int64_t width) {
  const float largest = largest_of(z, width);
  return largest + std::log(exponentiated(z, largest, width, nullptr));
}

float cross_entropy_row(float* z, int64_t width, int64_t label, float weight) {
  const float largest = largest_of(z, width), at_label = z[label] - largest;
  const float sum = exponentiated(z, largest, width, z);
  const __m256 factor = _mm256_set1_ps(weight / sum);
  for (int64_t i = 0; i < width; i += 8) {
    const Lanes lanes(i, width);
    lanes.put(z, _mm256_mul_ps(lanes.of(z), factor));
  }
  z[label] -= weight;
  return std::log(sum) - at_label;
}

ComparedRow compare_row(const float* other, float* fused, int64_t width, float weight) {
  const __m256 of_other = _mm256_set1_ps(normaliser_of(other, width));
  const __m256 of_fused = _mm256_set1_ps(normaliser_of(fused, width)), w = _mm256_set1_ps(weight);
  __m256 crossed = _mm256_setzero_ps(), divergence = _mm256_setzero_ps();
  for (int64_t i = 0; i < width; i += 8) {
    const Lanes lanes(i, width);
    const __m256 log_p = _mm256_sub_ps(lanes.of(other), of_other), log_q = _mm256_sub_ps(lanes.of(fused), of_fused);
    const __m256 p = lanes.kept(simd::exp(log_p));
    crossed = _mm256_fmadd_ps(p, log_q, crossed);
    divergence = _mm256_fmadd_ps(p, _mm256_sub_ps(log_p, log_q), divergence);
    lanes.put(fused, _mm256_mul_ps(w, _mm256_sub_ps(simd::exp(log_q), p)));
  }
  return {simd::sum(crossed), simd::sum(divergence)};
}

#pragma GCC pop_options
#else

float normaliser_of(const float*, int64_t) {
  return 0;
}
float cross_entropy_row(float*, int64_t, int64_t, float) {
  return 0;
}
ComparedRow compare_row(const float*, float*, int64_t, float) {
  return {};
}

#endif

}  // namespace cmc::cpu
