#include "pipeline/cpu/row_gradients.hpp"

#include "pipeline/cpu/lanes.hpp"
#include "pipeline/cpu/simd.hpp"

namespace cmc::cpu {

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2,fma")

namespace {

using simd::Lanes;

// (x - mean) * scale, and what the norm multiplies it by; beyond the row's end zeros.
struct Normed {
  const RowNorm& norm;
  RowMoments moments;

  __m256 of(const Lanes& lanes, const float* x) const {
    const __m256 centred = _mm256_sub_ps(lanes.of(x), _mm256_set1_ps(moments.mean));
    return lanes.kept(_mm256_mul_ps(centred, _mm256_set1_ps(moments.scale)));
  }
  __m256 weighed(const Lanes& lanes, __m256 upstream) const {
    if (norm.weight == nullptr) return upstream;
    return _mm256_mul_ps(upstream, _mm256_add_ps(lanes.of(norm.weight), _mm256_set1_ps(norm.offset)));
  }
};

// activation(g) and its derivative. All but relu's are g · sigmoid(u), u a polynomial of g.
struct Active {
  __m256 value, slope;
};

inline Active sigmoid_times(__m256 g, __m256 u, __m256 by_g) {
  const __m256 one = _mm256_set1_ps(1.0f);
  const __m256 s = _mm256_div_ps(one, _mm256_add_ps(one, simd::exp(_mm256_sub_ps(_mm256_setzero_ps(), u))));
  const __m256 value = _mm256_mul_ps(g, s);
  return {value, _mm256_fmadd_ps(_mm256_mul_ps(value, _mm256_sub_ps(one, s)), by_g, s)};
}

inline Active active(kernels::Activation activation, __m256 g) {
  using kernels::Activation;
  const __m256 zero = _mm256_setzero_ps(), one = _mm256_set1_ps(1.0f);
  if (activation == Activation::silu) return sigmoid_times(g, g, one);
  if (activation == Activation::gelu_quick) {
    const __m256 factor = _mm256_set1_ps(1.702f);
    return sigmoid_times(g, _mm256_mul_ps(g, factor), factor);
  }
  if (activation == Activation::gelu_tanh) {
    const __m256 factor = _mm256_set1_ps(1.5957691216057308f);
    const __m256 cubic = _mm256_mul_ps(_mm256_mul_ps(g, g), _mm256_set1_ps(0.044715f));
    return sigmoid_times(g, _mm256_mul_ps(_mm256_mul_ps(g, _mm256_add_ps(one, cubic)), factor),
                         _mm256_mul_ps(_mm256_fmadd_ps(cubic, _mm256_set1_ps(3.0f), one), factor));
  }
  const __m256 positive = _mm256_max_ps(g, zero);
  if (activation == Activation::relu_squared)
    return {_mm256_mul_ps(positive, positive), _mm256_add_ps(positive, positive)};
  return {positive, _mm256_and_ps(_mm256_cmp_ps(g, zero, _CMP_GT_OQ), one)};
}

}  // namespace

// With h = (x - mean) scale and g = upstream (weight + offset): scale (g - mean(g) - h mean(g h)).
void norm_row_back(const float* x, const RowNorm& norm, const float* upstream, int64_t width,
                   const NormSlopes& slopes) {
  const Normed normed{norm, moments_of(x, norm, width)};
  __m256 sums = _mm256_setzero_ps(), products = _mm256_setzero_ps();
  for (int64_t i = 0; i < width; i += 8) {
    const Lanes lanes(i, width);
    const __m256 above = lanes.of(upstream), h = normed.of(lanes, x), g = normed.weighed(lanes, above);
    sums = _mm256_add_ps(sums, g);
    products = _mm256_fmadd_ps(g, h, products);
    if (slopes.weight != nullptr) lanes.add(slopes.weight, _mm256_mul_ps(above, h));
    if (slopes.bias != nullptr) lanes.add(slopes.bias, above);
  }
  const float count = static_cast<float>(width);
  const __m256 mean = _mm256_set1_ps(norm.centred ? simd::sum(sums) / count : 0.0f);
  const __m256 scale = _mm256_set1_ps(normed.moments.scale);
  const __m256 along = _mm256_set1_ps(simd::sum(products) / count * normed.moments.scale);
  for (int64_t i = 0; i < width; i += 8) {
    const Lanes lanes(i, width);
    const __m256 h = normed.of(lanes, x), g = normed.weighed(lanes, lanes.of(upstream));
    const __m256 slope = _mm256_fnmadd_ps(h, along, _mm256_mul_ps(_mm256_sub_ps(g, mean), scale));
    // Rounded before it is added, as where autograd adds both.
    const __m256 carried = slopes.carried != nullptr ? lanes.of(slopes.carried) : _mm256_setzero_ps();
    lanes.put(slopes.slope, _mm256_add_ps(slope, carried));
  }
}

void gate_row_back(kernels::Activation activation, const float* gate, const float* up, const float* upstream,
                   int64_t width, float* by_gate, float* by_up) {
  for (int64_t i = 0; i < width; i += 8) {
    const Lanes lanes(i, width);
    const __m256 above = lanes.of(upstream);
    const Active opened = active(activation, lanes.of(gate));
    if (up != nullptr) lanes.put(by_up, _mm256_mul_ps(above, opened.value));
    const __m256 reached = up != nullptr ? _mm256_mul_ps(above, lanes.of(up)) : above;
    lanes.put(by_gate, _mm256_mul_ps(reached, opened.slope));
  }
}

void rotate_head_back(float* head, const float* cosine, const float* sine, int64_t half) {
  for (int64_t i = 0; i < half; i += 8) {
    const Lanes lanes(i, half);
    const __m256 a = lanes.of(head), b = lanes.of(head + half), c = lanes.of(cosine), s = lanes.of(sine);
    lanes.put(head, _mm256_fmadd_ps(a, c, _mm256_mul_ps(b, s)));
    lanes.put(head + half, _mm256_fmsub_ps(b, c, _mm256_mul_ps(a, s)));
  }
}

#pragma GCC pop_options
#else

void norm_row_back(const float*, const RowNorm&, const float*, int64_t, const NormSlopes&) {}
void gate_row_back(kernels::Activation, const float*, const float*, const float*, int64_t, float*, float*) {}
void rotate_head_back(float*, const float*, const float*, int64_t) {}

#endif

}  // namespace cmc::cpu
