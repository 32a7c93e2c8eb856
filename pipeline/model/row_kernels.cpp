#include "pipeline/model/row_kernels.hpp"

#include <cmath>

#include "pipeline/model/simd.hpp"

namespace cmc::model {

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2,fma")

namespace {

// g · sigmoid(u), eight at a time.
inline __m256 times_sigmoid(__m256 g, __m256 u) {
  const __m256 one = _mm256_set1_ps(1.0f);
  return _mm256_div_ps(g, _mm256_add_ps(one, simd::exp(_mm256_sub_ps(_mm256_setzero_ps(), u))));
}

// GELU's tanh form is g · sigmoid(2 sqrt(2/pi) (g + 0.044715 g³)).
inline __m256 gelu_tanh(__m256 g) {
  const __m256 inner = _mm256_fmadd_ps(_mm256_mul_ps(g, g), _mm256_set1_ps(0.044715f), _mm256_set1_ps(1.0f));
  return times_sigmoid(g, _mm256_mul_ps(_mm256_mul_ps(g, inner), _mm256_set1_ps(1.5957691216057308f)));
}

float activate_one(checkpoint::Activation activation, float g) {
  switch (activation) {
    case checkpoint::Activation::silu:
      return g / (1.0f + std::exp(-g));
    case checkpoint::Activation::gelu_tanh:
      return g / (1.0f + std::exp(-1.5957691216057308f * g * (1.0f + 0.044715f * g * g)));
    case checkpoint::Activation::gelu:
      break;
  }
  return 0.5f * g * (1.0f + std::erf(g * 0.70710678118654752f));
}

}  // namespace

void norm_row(const float* x, const float* weight, float offset, float epsilon, int64_t width, float* y) {
  __m256 squares = _mm256_setzero_ps();
  const int64_t whole = width / 8 * 8;
  for (int64_t i = 0; i < whole; i += 8) {
    const __m256 part = _mm256_loadu_ps(x + i);
    squares = _mm256_fmadd_ps(part, part, squares);
  }
  float sum = simd::sum(squares);
  for (int64_t i = whole; i < width; ++i) sum += x[i] * x[i];
  const float scale = 1.0f / std::sqrt(sum / static_cast<float>(width) + epsilon);
  for (int64_t i = 0; i < width; ++i) y[i] = x[i] * scale * (weight[i] + offset);
}

void gate_row(checkpoint::Activation activation, const float* gate, const float* up, int64_t width, float* y) {
  const int64_t whole = activation == checkpoint::Activation::gelu ? 0 : width / 8 * 8;
  for (int64_t i = 0; i < whole; i += 8) {
    const __m256 g = _mm256_loadu_ps(gate + i);
    const __m256 active = activation == checkpoint::Activation::silu ? times_sigmoid(g, g) : gelu_tanh(g);
    _mm256_storeu_ps(y + i, _mm256_mul_ps(active, _mm256_loadu_ps(up + i)));
  }
  for (int64_t i = whole; i < width; ++i) y[i] = activate_one(activation, gate[i]) * up[i];
}

void rotate_head(const float* x, const float* cosine, const float* sine, int64_t half, float* y) {
  for (int64_t i = 0; i < half; ++i) {
    const float a = x[i], b = x[half + i];
    y[i] = a * cosine[i] - b * sine[i];
    y[half + i] = b * cosine[i] + a * sine[i];
  }
}

#pragma GCC pop_options
#else

void norm_row(const float*, const float*, float, float, int64_t, float*) {}
void gate_row(checkpoint::Activation, const float*, const float*, int64_t, float*) {}
void rotate_head(const float*, const float*, const float*, int64_t, float*) {}

#endif

}  // namespace cmc::model
