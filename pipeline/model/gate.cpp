#include "pipeline/model/gate.hpp"

#include <ATen/Parallel.h>
#include <ATen/record_function.h>

#include "pipeline/model/device_ops.hpp"
#include "pipeline/model/op_path.hpp"
#include "pipeline/model/row_kernels.hpp"

namespace cmc::model {

namespace {

torch::Tensor activate(checkpoint::Activation activation, const torch::Tensor& x) {
  switch (activation) {
    case checkpoint::Activation::silu:
      return torch::silu(x);
    case checkpoint::Activation::gelu_tanh:
      return torch::gelu(x, "tanh");
    case checkpoint::Activation::gelu:
      break;
  }
  return torch::gelu(x);
}

}  // namespace

torch::Tensor gate(checkpoint::Activation activation, const torch::Tensor& joined) {
  RECORD_FUNCTION("cmc::gate", c10::ArrayRef<const c10::IValue>{});
  const int64_t rows = joined.size(0), width = joined.size(1) / 2;
  const OpPath path = path_of(joined);
  if (path == OpPath::device_kernels) return device::gate(activation, joined);
  if (path == OpPath::torch) {
    return activate(activation, joined.narrow(1, 0, width)) * joined.narrow(1, width, width);
  }
  const torch::Tensor input = joined.contiguous();
  torch::Tensor result = torch::empty({rows, width}, input.options());
  const float* from = input.const_data_ptr<float>();
  float* to = result.data_ptr<float>();
  at::parallel_for(0, rows, std::max<int64_t>(1, 8192 / width), [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      const float* pair = from + row * 2 * width;
      gate_row(activation, pair, pair + width, width, to + row * width);
    }
  });
  return result;
}

}  // namespace cmc::model
