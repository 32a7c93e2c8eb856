#pragma once
#include <torch/csrc/autograd/custom_function.h>

#include <utility>

namespace cmc::model {

// Whether autograd follows what is computed of x.
inline bool is_followed(const torch::Tensor& x) {
  return torch::GradMode::is_enabled() && x.requires_grad();
}

template <typename Value>
struct KeptValue : torch::CustomClassHolder {
  explicit KeptValue(Value value) : value(std::move(value)) {}
  Value value;
};

// A function's value of any type, one each, for its backward pass.
template <typename Value>
void keep_for_backward(torch::autograd::AutogradContext* context, Value value) {
  context->saved_data["kept"] = c10::IValue::make_capsule(c10::make_intrusive<KeptValue<Value>>(std::move(value)));
}

template <typename Value>
Value kept_for_backward(torch::autograd::AutogradContext* context) {
  const auto capsule = context->saved_data["kept"].toCapsule();
  return static_cast<const KeptValue<Value>&>(*capsule).value;
}

}  // namespace cmc::model
