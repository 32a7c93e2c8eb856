#include "pipeline/model/norm.hpp"

#include <ATen/Parallel.h>
#include <ATen/record_function.h>

#include "pipeline/model/device_ops.hpp"
#include "pipeline/model/op_path.hpp"
#include "pipeline/model/row_kernels.hpp"

namespace cmc::model {

namespace {

// `x` [.., width] contiguous; `added` of its size or undefined.
torch::Tensor norm_rows(const RmsNorm& norm, torch::Tensor& x, const torch::Tensor& added) {
  const torch::Tensor more = added.defined() ? added.contiguous() : added;
  torch::Tensor result = torch::empty_like(x);
  const int64_t width = x.size(-1);
  const float *weight = norm.weight.const_data_ptr<float>(),
              *plus = more.defined() ? more.const_data_ptr<float>() : nullptr;
  float *from = x.data_ptr<float>(), *to = result.data_ptr<float>();
  const float offset = norm.adds_one ? 1.0f : 0.0f, epsilon = static_cast<float>(norm.epsilon);
  at::parallel_for(0, x.numel() / width, std::max<int64_t>(1, 32768 / width), [&](int64_t first, int64_t last) {
    for (int64_t at = first * width; at < last * width; at += width) {
      if (plus == nullptr)
        norm_row(from + at, weight, offset, epsilon, width, to + at);
      else
        add_norm_row(from + at, plus + at, weight, offset, epsilon, width, to + at);
    }
  });
  return result;
}

torch::Tensor normed(const RmsNorm& norm, const torch::Tensor& x) {
  const torch::Tensor wide = x.to(torch::kFloat32);
  const torch::Tensor result = wide * torch::rsqrt(wide.square().mean(-1, true) + norm.epsilon);
  if (norm.adds_one) return (result * (norm.weight.to(torch::kFloat32) + 1.0)).to(x.scalar_type());
  return result.to(x.scalar_type()) * norm.weight;
}

}  // namespace

torch::Tensor RmsNorm::operator()(const torch::Tensor& x) const {
  RECORD_FUNCTION("cmc::norm", c10::ArrayRef<const c10::IValue>{});
  torch::Tensor input = x;
  switch (path_of(x)) {
    case OpPath::cpu_kernels:
      input = x.contiguous();
      return norm_rows(*this, input, {});
    case OpPath::device_kernels:
      return device::add_norm(input, {}, *this);
    case OpPath::torch:
      break;
  }
  return normed(*this, x);
}

torch::Tensor add_norm(torch::Tensor& x, const Branch& branch, const RmsNorm& norm) {
  RECORD_FUNCTION("cmc::add_norm", c10::ArrayRef<const c10::IValue>{});
  const OpPath path = path_of(x);
  if (path == OpPath::device_kernels) return device::add_norm(x, branch, norm);
  const torch::Tensor added = branch.normed();
  if (path == OpPath::cpu_kernels) {
    x = x.contiguous();
    return norm_rows(norm, x, added);
  }
  if (added.defined() && torch::GradMode::is_enabled())
    x = x + added;
  else if (added.defined())
    x.add_(added);
  return normed(norm, x);
}

}  // namespace cmc::model
