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

// y = x * scale * (weight + offset), where y may be x.
inline void scale_row(const float* x, float scale, const float* weight, float offset, int64_t width, float* y) {
  const __m256 scales = _mm256_set1_ps(scale), offsets = _mm256_set1_ps(offset);
  const int64_t whole = width / 8 * 8;
  for (int64_t i = 0; i < whole; i += 8) {
    const __m256 factor = _mm256_add_ps(_mm256_loadu_ps(weight + i), offsets);
    _mm256_storeu_ps(y + i, _mm256_mul_ps(_mm256_mul_ps(_mm256_loadu_ps(x + i), scales), factor));
  }
  for (int64_t i = whole; i < width; ++i) y[i] = x[i] * scale * (weight[i] + offset);
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
  scale_row(x, 1.0f / std::sqrt(sum / static_cast<float>(width) + epsilon), weight, offset, width, y);
}

void add_norm_row(float* x, const float* added, const float* weight, float offset, float epsilon, int64_t width,
                  float* y) {
  __m256 squares = _mm256_setzero_ps();
  const int64_t whole = width / 8 * 8;
  for (int64_t i = 0; i < whole; i += 8) {
    const __m256 part = _mm256_add_ps(_mm256_loadu_ps(x + i), _mm256_loadu_ps(added + i));
    _mm256_storeu_ps(x + i, part);
    squares = _mm256_fmadd_ps(part, part, squares);
  }
  float sum = simd::sum(squares);
  for (int64_t i = whole; i < width; ++i) {
    x[i] += added[i];
    sum += x[i] * x[i];
  }
  scale_row(x, 1.0f / std::sqrt(sum / static_cast<float>(width) + epsilon), weight, offset, width, y);
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

void rotate_head(float* head, const float* cosine, const float* sine, int64_t half) {
  const int64_t whole = half / 8 * 8;
  for (int64_t i = 0; i < whole; i += 8) {
    const __m256 a = _mm256_loadu_ps(head + i), b = _mm256_loadu_ps(head + half + i);
    const __m256 c = _mm256_loadu_ps(cosine + i), s = _mm256_loadu_ps(sine + i);
    _mm256_storeu_ps(head + i, _mm256_fmsub_ps(a, c, _mm256_mul_ps(b, s)));
    _mm256_storeu_ps(head + half + i, _mm256_fmadd_ps(b, c, _mm256_mul_ps(a, s)));
  }
  for (int64_t i = whole; i < half; ++i) {
    const float a = head[i], b = head[half + i];
    head[i] = a * cosine[i] - b * sine[i];
    head[half + i] = b * cosine[i] + a * sine[i];
  }
}

#pragma GCC pop_options
#else

void norm_row(const float*, const float*, float, float, int64_t, float*) {}
void add_norm_row(float*, const float*, const float*, float, float, int64_t, float*) {}
void gate_row(checkpoint::Activation, const float*, const float*, int64_t, float*) {}
void rotate_head(float*, const float*, const float*, int64_t) {}

#endif

}  // namespace cmc::model
