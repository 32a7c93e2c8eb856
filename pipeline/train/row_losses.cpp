#include "pipeline/train/row_losses.hpp"

#include <ATen/Parallel.h>

#include "pipeline/core/error.hpp"
#include "pipeline/cpu/row_losses.hpp"
#include "pipeline/model/op_path.hpp"

namespace cmc::train {

bool has_row_loops(const torch::Tensor& logits, const VocabularyPart& part) {
  const torch::NoGradGuard closed_form;
  return !part.is_split() && model::path_of(logits) == model::OpPath::cpu_kernels;
}

namespace {

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
    to[row] = cpu::cross_entropy_row(values + at, z.size(1), label[row], weight[row]);
  });
}

void compared_rows(const torch::Tensor& other, const torch::Tensor& fused, const torch::Tensor& weights,
                   const RowSums& sums) {
  expect(other.is_contiguous(), "rows of logits lie one behind the other");
  const float *p = other.const_data_ptr<float>(), *weight = weights.const_data_ptr<float>();
  float *q = fused.data_ptr<float>(), *crossed = where_wanted(sums.crossed),
        *divergence = where_wanted(sums.divergence);
  over_rows(fused, [&](int64_t row, int64_t at) {
    const cpu::ComparedRow own = cpu::compare_row(p + at, q + at, fused.size(1), weight[row]);
    if (crossed != nullptr) crossed[row] = own.crossed;
    if (divergence != nullptr) divergence[row] = own.divergence;
  });
}

torch::Tensor normalisers_of(const torch::Tensor& z) {
  torch::Tensor result = torch::empty({z.size(0)}, z.options());
  const float* values = z.const_data_ptr<float>();
  float* to = result.data_ptr<float>();
  over_rows(z, [&](int64_t row, int64_t at) { to[row] = cpu::normaliser_of(values + at, z.size(1)); });
  return result;
}

}  // namespace cmc::train
