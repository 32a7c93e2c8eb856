#include "pipeline/model/gating.hpp"

namespace cmc::model {

kernels::Activation activation_of(checkpoint::Activation activation) {
  using checkpoint::Activation;
  switch (activation) {
    case Activation::silu:
      return kernels::Activation::silu;
    case Activation::gelu_tanh:
      return kernels::Activation::gelu_tanh;
    case Activation::gelu_quick:
      return kernels::Activation::gelu_quick;
    case Activation::relu:
      return kernels::Activation::relu;
    case Activation::relu_squared:
      return kernels::Activation::relu_squared;
    case Activation::gelu:
      break;
  }
  return kernels::Activation::gelu;
}

}  // namespace cmc::model
