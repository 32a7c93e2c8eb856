#include "pipeline/model/gate.hpp"

#include <ATen/Parallel.h>
#include <ATen/record_function.h>

#include "pipeline/cpu/row_gradients.hpp"
#include "pipeline/cpu/row_kernels.hpp"
#include "pipeline/model/device_ops.hpp"
#include "pipeline/model/kept_for_backward.hpp"
#include "pipeline/model/op_path.hpp"

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

// Rows [N, width] or where gated [N, 2 · width].
struct GateRows {
  checkpoint::Activation activation;
  bool gated;
  int64_t rows, all, width;

  GateRows(checkpoint::Activation activation, Gating gating, const torch::Tensor& joined)
      : activation(activation),
        gated(gating == Gating::gated),
        rows(joined.size(0)),
        all(joined.size(1)),
        width(gated ? all / 2 : all) {}
  template <typename Work>
  void for_each(const Work& work) const {
    at::parallel_for(0, rows, std::max<int64_t>(1, 8192 / width), [&](int64_t first, int64_t last) {
      for (int64_t row = first; row < last; ++row) work(row);
    });
  }
  torch::Tensor of(const torch::Tensor& input) const {
    torch::Tensor result = torch::empty({rows, width}, input.options());
    const float* from = input.const_data_ptr<float>();
    float* to = result.data_ptr<float>();
    for_each([&](int64_t row) {
      const float* values = from + row * all;
      cpu::gate_row(activation_of(activation), values, gated ? values + width : nullptr, width, to + row * width);
    });
    return result;
  }
  // The gradient by `input` of that by the result.
  torch::Tensor back(const torch::Tensor& input, const torch::Tensor& upstream) const {
    torch::Tensor slopes = torch::empty_like(input);
    const float *from = input.const_data_ptr<float>(), *above = upstream.const_data_ptr<float>();
    float* to = slopes.data_ptr<float>();
    for_each([&](int64_t row) {
      const float* values = from + row * all;
      float* own = to + row * all;
      cpu::gate_row_back(activation_of(activation), values, gated ? values + width : nullptr, above + row * width,
                         width, own, gated ? own + width : nullptr);
    });
    return slopes;
  }
};

class FollowedGate : public torch::autograd::Function<FollowedGate> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& joined,
                               const GateRows& rows) {
    const torch::Tensor input = joined.contiguous();
    context->save_for_backward({input});
    keep_for_backward(context, rows);
    return rows.of(input);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list upstream) {
    const torch::Tensor input = context->get_saved_variables()[0];
    return {kept_for_backward<GateRows>(context).back(input, upstream[0].contiguous()), torch::Tensor()};
  }
};

}  // namespace

torch::Tensor gate(checkpoint::Activation activation, Gating gating, const torch::Tensor& joined) {
  RECORD_FUNCTION("cmc::gate", c10::ArrayRef<const c10::IValue>{});
  const GateRows rows(activation, gating, joined);
  switch (path_of(joined)) {
    case OpPath::device_kernels:
      return device::gate(activation, gating, joined);
    case OpPath::cpu_kernels:
      return rows.of(joined.contiguous());
    case OpPath::cpu_gradients:
      if (activation != checkpoint::Activation::gelu) return FollowedGate::apply(joined, rows);
      break;
    case OpPath::torch:
      break;
  }
  if (!rows.gated) return activate(activation, joined);
  return activate(activation, joined.narrow(1, 0, rows.width)) * joined.narrow(1, rows.width, rows.width);
}

}  // namespace cmc::model
