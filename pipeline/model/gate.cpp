#include "pipeline/model/gate.hpp"

#include <ATen/Parallel.h>
#include <ATen/record_function.h>

#include "pipeline/model/device_ops.hpp"
#include "pipeline/model/op_path.hpp"
#include "pipeline/model/row_kernels.hpp"

namespace cmc::model {

namespace {

torch::Tensor activate(checkpoint::Activation activation, const torch::Tensor& x) {
  using checkpoint::Activation;
  switch (activation) {
    case Activation::silu:
      return torch::silu(x);
    case Activation::gelu_tanh:
      return torch::gelu(x, "tanh");
    case Activation::gelu_quick:
      return x * torch::sigmoid(x * 1.702);
    case Activation::relu:
      return torch::relu(x);
    case Activation::relu_squared:
      return torch::relu(x).square();
    case Activation::gelu:
      break;
  }
  return torch::gelu(x);
}

}  // namespace

torch::Tensor gate(checkpoint::Activation activation, Gating gating, const torch::Tensor& joined) {
  RECORD_FUNCTION("cmc::gate", c10::ArrayRef<const c10::IValue>{});
  const bool gated = gating == Gating::gated;
  const int64_t rows = joined.size(0), all = joined.size(1), width = gated ? all / 2 : all;
  const OpPath path = path_of(joined);
  if (path == OpPath::device_kernels) return device::gate(activation, gating, joined);
  if (path == OpPath::torch) {
    if (!gated) return activate(activation, joined);
    return activate(activation, joined.narrow(1, 0, width)) * joined.narrow(1, width, width);
  }
  const torch::Tensor input = joined.contiguous();
  torch::Tensor result = torch::empty({rows, width}, input.options());
  const float* from = input.const_data_ptr<float>();
  float* to = result.data_ptr<float>();
  at::parallel_for(0, rows, std::max<int64_t>(1, 8192 / width), [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      const float* values = from + row * all;
      gate_row(activation, values, gated ? values + width : nullptr, width, to + row * width);
    }
  });
  return result;
}

}  // namespace cmc::model
