#include "pipeline/model/norm.hpp"

#include <ATen/Parallel.h>
#include <ATen/record_function.h>

#include "pipeline/cpu/row_kernels.hpp"
#include "pipeline/model/device_ops.hpp"
#include "pipeline/model/norm_gradient.hpp"
#include "pipeline/model/op_path.hpp"

namespace cmc::model {

cpu::RowNorm row_norm_of(const Norm& norm) {
  const auto data = [](const torch::Tensor& x) { return x.defined() ? x.const_data_ptr<float>() : nullptr; };
  return {data(norm.weight), data(norm.bias), norm.kind.adds_one ? 1.0f : 0.0f, static_cast<float>(norm.kind.epsilon),
          norm.kind.centred};
}

namespace {

// x += scale * added where there is any, then the norm, for rows [.., width]; both contiguous.
torch::Tensor norm_rows(const Norm& norm, torch::Tensor& x, const torch::Tensor& added, double scale) {
  const torch::Tensor more = added.defined() ? added.contiguous() : added;
  const int64_t width = x.size(-1);
  const cpu::RowNorm row_norm = row_norm_of(norm);
  torch::Tensor result = norm ? torch::empty_like(x) : x;
  const float* plus = more.defined() ? more.const_data_ptr<float>() : nullptr;
  float *from = x.data_ptr<float>(), *to = result.data_ptr<float>();
  at::parallel_for(0, x.numel() / width, std::max<int64_t>(1, 32768 / width), [&](int64_t first, int64_t last) {
    for (int64_t at = first * width; at < last * width; at += width) {
      if (plus != nullptr) cpu::add_row(from + at, plus + at, static_cast<float>(scale), width);
      if (norm) cpu::norm_row(from + at, row_norm, width, to + at);
    }
  });
  return result;
}

// Where gradients flow, they flow to the parameters.
torch::Tensor joined(const torch::Tensor& block, const std::vector<torch::Tensor>& parts) {
  return torch::GradMode::is_enabled() && !parts.empty() ? torch::stack(parts) : block;
}

torch::Tensor normed(const Norm& norm, const torch::Tensor& x) {
  torch::Tensor wide = x.to(torch::kFloat32);
  if (norm.kind.centred) wide = wide - wide.mean(-1, true);
  torch::Tensor result = wide * torch::rsqrt(wide.square().mean(-1, true) + norm.kind.epsilon);
  // LayerNorm is one operation in float32; of RMSNorms each family rounds where its own code does.
  const bool in_float32 = norm.kind.centred || norm.kind.rounds_last;
  if (!in_float32) result = result.to(x.scalar_type());
  const auto as_result = [&](const torch::Tensor& parameter) { return parameter.to(result.scalar_type()); };
  const torch::Tensor weight = joined(norm.weight, norm.weights), bias = joined(norm.bias, norm.biases);
  if (weight.defined()) result = result * (norm.kind.adds_one ? as_result(weight) + 1.0 : as_result(weight));
  if (bias.defined()) result = result + as_result(bias);
  return result.to(x.scalar_type());
}

}  // namespace

torch::Tensor Norm::operator()(const torch::Tensor& x) const {
  RECORD_FUNCTION("cmc::norm", c10::ArrayRef<const c10::IValue>{});
  torch::Tensor input = x;
  switch (path_of(x)) {
    case OpPath::cpu_kernels:
      if (weight.defined() && weight.dim() > 1) break;
      input = x.contiguous();
      return norm_rows(*this, input, {}, 1.0);
    case OpPath::device_kernels:
      if (weight.defined() && weight.dim() > 1) break;
      return device::add_norm(input, {}, *this);
    case OpPath::cpu_gradients:
      if (follows_norm(*this)) return followed_norm(input, {}, *this);
      break;
    case OpPath::torch:
      break;
  }
  return normed(*this, x);
}

torch::Tensor Branch::scaled() const {
  const torch::Tensor result = norm ? norm(values) : values;
  return scale == 1.0 ? result : result * scale;
}

torch::Tensor add_norm(torch::Tensor& x, const Branch& branch, const Norm& norm) {
  RECORD_FUNCTION("cmc::add_norm", c10::ArrayRef<const c10::IValue>{});
  if (!branch.values.defined() && !norm) return x;
  const OpPath path = path_of(x);
  if (path == OpPath::device_kernels) return device::add_norm(x, branch, norm);
  if (path == OpPath::cpu_kernels) {
    x = x.contiguous();
    return norm_rows(norm, x, branch.norm ? branch.norm(branch.values) : branch.values, branch.scale);
  }
  const torch::Tensor added = branch.values.defined() ? branch.scaled() : branch.values;
  if (path == OpPath::cpu_gradients && follows_norm(norm)) return followed_norm(x, added, norm);
  if (added.defined() && torch::GradMode::is_enabled())
    x = x + added;
  else if (added.defined())
    x.add_(added);
  return norm ? normed(norm, x) : x;
}

}  // namespace cmc::model
