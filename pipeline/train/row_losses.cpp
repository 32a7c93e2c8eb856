#include "pipeline/train/row_losses.hpp"

#include <ATen/Parallel.h>

#include <cmath>
#include <limits>

#include "pipeline/core/error.hpp"
#include "pipeline/model/lanes.hpp"
#include "pipeline/model/op_path.hpp"
#include "pipeline/model/simd.hpp"

namespace cmc::train {

bool has_row_loops(const torch::Tensor& logits, const VocabularyPart& part) {
  const torch::NoGradGuard closed_form;
  return !part.is_split() && model::path_of(logits) == model::OpPath::cpu_kernels;
}

namespace {

struct ComparedRow {
  float crossed, divergence;
};

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2,fma")

using model::simd::Lanes;

float largest_of(const float* z, int64_t width) {
  const __m256 lowest = _mm256_set1_ps(std::numeric_limits<float>::lowest());
  __m256 largest = lowest;
  for (int64_t i = 0; i < width; i += 8) {
    const Lanes lanes(i, width);
    largest = _mm256_max_ps(largest, lanes.or_else(lanes.of(z), lowest));
  }
  return model::simd::maximum(largest);
}

// Σ exp(z - shift); `put`: where the terms go, null: nowhere.
float exponentiated(const float* z, float shift, int64_t width, float* put) {
  __m256 sums = _mm256_setzero_ps();
  for (int64_t i = 0; i < width; i += 8) {
    const Lanes lanes(i, width);
    const __m256 term = model::simd::exp(_mm256_sub_ps(lanes.of(z), _mm256_set1_ps(shift)));
    if (put != nullptr) lanes.put(put, term);
    sums = _mm256_add_ps(sums, lanes.kept(term));
  }
  return model::simd::sum(sums);
}

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
    const __m256 p = lanes.kept(model::simd::exp(log_p));
    crossed = _mm256_fmadd_ps(p, log_q, crossed);
    divergence = _mm256_fmadd_ps(p, _mm256_sub_ps(log_p, log_q), divergence);
    lanes.put(fused, _mm256_mul_ps(w, _mm256_sub_ps(model::simd::exp(log_q), p)));
  }
  return {model::simd::sum(crossed), model::simd::sum(divergence)};
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

// `z` of rows behind each other, as all that goes with them.
template <typename Work>
void over_rows(const torch::Tensor& z, const Work& work) {
  expect(z.is_contiguous(), "rows of logits lie one behind the other");
  at::parallel_for(0, z.size(0), std::max<int64_t>(1, 16384 / z.size(1)), [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) work(row, row * z.size(1));
  });
}

float* where_wanted(const torch::Tensor& x) {
  return x.defined() ? x.data_ptr<float>() : nullptr;
}

}  // namespace

void cross_entropy_rows(const torch::Tensor& z, const torch::Tensor& labels, const torch::Tensor& weights,
                        const torch::Tensor& losses) {
  float *values = z.data_ptr<float>(), *to = losses.data_ptr<float>();
  const auto* label = labels.const_data_ptr<int64_t>();
  const float* weight = weights.const_data_ptr<float>();
  over_rows(z, [&](int64_t row, int64_t at) {
    to[row] = cross_entropy_row(values + at, z.size(1), label[row], weight[row]);
  });
}

void compared_rows(const torch::Tensor& other, const torch::Tensor& fused, const torch::Tensor& weights,
                   const RowSums& sums) {
  expect(other.is_contiguous(), "rows of logits lie one behind the other");
  const float *p = other.const_data_ptr<float>(), *weight = weights.const_data_ptr<float>();
  float *q = fused.data_ptr<float>(), *crossed = where_wanted(sums.crossed),
        *divergence = where_wanted(sums.divergence);
  over_rows(fused, [&](int64_t row, int64_t at) {
    const ComparedRow own = compare_row(p + at, q + at, fused.size(1), weight[row]);
    if (crossed != nullptr) crossed[row] = own.crossed;
    if (divergence != nullptr) divergence[row] = own.divergence;
  });
}

torch::Tensor normalisers_of(const torch::Tensor& z) {
  torch::Tensor result = torch::empty({z.size(0)}, z.options());
  const float* values = z.const_data_ptr<float>();
  float* to = result.data_ptr<float>();
  over_rows(z, [&](int64_t row, int64_t at) { to[row] = normaliser_of(values + at, z.size(1)); });
  return result;
}

}  // namespace cmc::train
