#include "pipeline/model/gate.hpp"

#include <ATen/Parallel.h>

#include "pipeline/model/cpu_kernels.hpp"
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
  const int64_t rows = joined.size(0), width = joined.size(1) / 2;
  if (!takes_cpu_kernels(joined)) {
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
