#include "pipeline/model/norm.hpp"

#include <ATen/Parallel.h>

#include "pipeline/model/cpu_kernels.hpp"
#include "pipeline/model/row_kernels.hpp"

namespace cmc::model {

namespace {

torch::Tensor norm_rows(const RmsNorm& norm, const torch::Tensor& x) {
  const torch::Tensor input = x.contiguous();
  torch::Tensor result = torch::empty_like(input);
  const int64_t width = input.size(-1);
  const float *from = input.const_data_ptr<float>(), *weight = norm.weight.const_data_ptr<float>();
  float* to = result.data_ptr<float>();
  at::parallel_for(0, input.numel() / width, std::max<int64_t>(1, 32768 / width), [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      norm_row(from + row * width, weight, norm.adds_one ? 1.0f : 0.0f, static_cast<float>(norm.epsilon), width,
               to + row * width);
    }
  });
  return result;
}

}  // namespace

torch::Tensor RmsNorm::operator()(const torch::Tensor& x) const {
  if (takes_cpu_kernels(x)) return norm_rows(*this, x);
  const torch::Tensor wide = x.to(torch::kFloat32);
  const torch::Tensor normed = wide * torch::rsqrt(wide.square().mean(-1, true) + epsilon);
  if (adds_one) return (normed * (weight.to(torch::kFloat32) + 1.0)).to(x.scalar_type());
  return normed.to(x.scalar_type()) * weight;
}

}  // namespace cmc::model
