#include "pipeline/cpu/row_kernels.hpp"

#include <cmath>

#include "pipeline/cpu/simd.hpp"

namespace cmc::cpu {

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

// (x - mean) * scale * weight + bias, of which any part may be missing.
struct Scaling {
  const RowNorm& norm;
  float mean, scale;

  __m256 of_eight(const float* x, int64_t i) const {
    __m256 y = _mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(x + i), _mm256_set1_ps(mean)), _mm256_set1_ps(scale));
    if (norm.weight != nullptr)
      y = _mm256_mul_ps(y, _mm256_add_ps(_mm256_loadu_ps(norm.weight + i), _mm256_set1_ps(norm.offset)));
    return norm.bias != nullptr ? _mm256_add_ps(y, _mm256_loadu_ps(norm.bias + i)) : y;
  }
  float of_one(const float* x, int64_t i) const {
    const float y = (x[i] - mean) * scale * (norm.weight != nullptr ? norm.weight[i] + norm.offset : 1.0f);
    return norm.bias != nullptr ? y + norm.bias[i] : y;
  }
};

float mean_of(const float* x, int64_t width) {
  __m256 sums = _mm256_setzero_ps();
  const int64_t whole = width / 8 * 8;
  for (int64_t i = 0; i < whole; i += 8) sums = _mm256_add_ps(sums, _mm256_loadu_ps(x + i));
  float sum = simd::sum(sums);
  for (int64_t i = whole; i < width; ++i) sum += x[i];
  return sum / static_cast<float>(width);
}

float variance_of(const float* x, float mean, int64_t width) {
  __m256 squares = _mm256_setzero_ps();
  const int64_t whole = width / 8 * 8;
  for (int64_t i = 0; i < whole; i += 8) {
    const __m256 part = _mm256_sub_ps(_mm256_loadu_ps(x + i), _mm256_set1_ps(mean));
    squares = _mm256_fmadd_ps(part, part, squares);
  }
  float sum = simd::sum(squares);
  for (int64_t i = whole; i < width; ++i) sum += (x[i] - mean) * (x[i] - mean);
  return sum / static_cast<float>(width);
}

inline __m256 activate_eight(kernels::Activation activation, __m256 g) {
  using kernels::Activation;
  const __m256 positive = _mm256_max_ps(g, _mm256_setzero_ps());
  switch (activation) {
    case Activation::silu:
      return times_sigmoid(g, g);
    case Activation::gelu_tanh:
      return gelu_tanh(g);
    case Activation::gelu_quick:
      return times_sigmoid(g, _mm256_mul_ps(g, _mm256_set1_ps(1.702f)));
    case Activation::relu:
      return positive;
    case Activation::relu_squared:
      return _mm256_mul_ps(positive, positive);
    case Activation::gelu:
      break;
  }
  return g;
}

float activate_one(kernels::Activation activation, float g) {
  switch (activation) {
    case kernels::Activation::silu:
      return g / (1.0f + std::exp(-g));
    case kernels::Activation::gelu_tanh:
      return g / (1.0f + std::exp(-1.5957691216057308f * g * (1.0f + 0.044715f * g * g)));
    case kernels::Activation::gelu_quick:
      return g / (1.0f + std::exp(-1.702f * g));
    case kernels::Activation::relu:
      return g > 0.0f ? g : 0.0f;
    case kernels::Activation::relu_squared:
      return g > 0.0f ? g * g : 0.0f;
    case kernels::Activation::gelu:
      break;
  }
  return 0.5f * g * (1.0f + std::erf(g * 0.70710678118654752f));
}

}  // namespace

RowMoments moments_of(const float* x, const RowNorm& norm, int64_t width) {
  const float mean = norm.centred ? mean_of(x, width) : 0.0f;
  return {mean, 1.0f / std::sqrt(variance_of(x, mean, width) + norm.epsilon)};
}

void norm_row(const float* x, const RowNorm& norm, int64_t width, float* y) {
  const auto [mean, scale] = moments_of(x, norm, width);
  const Scaling scaling{norm, mean, scale};
  const int64_t whole = width / 8 * 8;
  for (int64_t i = 0; i < whole; i += 8) _mm256_storeu_ps(y + i, scaling.of_eight(x, i));
  for (int64_t i = whole; i < width; ++i) y[i] = scaling.of_one(x, i);
}

void add_row(float* x, const float* added, float scale, int64_t width) {
  const int64_t whole = width / 8 * 8;
  for (int64_t i = 0; i < whole; i += 8) {
    const __m256 more = _mm256_mul_ps(_mm256_loadu_ps(added + i), _mm256_set1_ps(scale));
    _mm256_storeu_ps(x + i, _mm256_add_ps(_mm256_loadu_ps(x + i), more));
  }
  for (int64_t i = whole; i < width; ++i) x[i] += scale * added[i];
}

void gate_row(kernels::Activation activation, const float* gate, const float* up, int64_t width, float* y) {
  const int64_t whole = activation == kernels::Activation::gelu ? 0 : width / 8 * 8;
  for (int64_t i = 0; i < whole; i += 8) {
    const __m256 active = activate_eight(activation, _mm256_loadu_ps(gate + i));
    _mm256_storeu_ps(y + i, up != nullptr ? _mm256_mul_ps(active, _mm256_loadu_ps(up + i)) : active);
  }
  for (int64_t i = whole; i < width; ++i) y[i] = activate_one(activation, gate[i]) * (up != nullptr ? up[i] : 1.0f);
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

RowMoments moments_of(const float*, const RowNorm&, int64_t) {
  return {};
}
void norm_row(const float*, const RowNorm&, int64_t, float*) {}
void add_row(float*, const float*, float, int64_t) {}
void gate_row(kernels::Activation, const float*, const float*, int64_t, float*) {}
void rotate_head(float*, const float*, const float*, int64_t) {}

#endif

}  // namespace cmc::cpu
