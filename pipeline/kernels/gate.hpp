#pragma once
#include <cstdint>

#include "pipeline/kernels/queue.hpp"

namespace cmc::kernels {

enum class Activation { silu, gelu_tanh, gelu, gelu_quick, relu, relu_squared };

// out = activation(gate) · up for joined = [gate, up] (SwiGLU, GeGLU; Shazeer 2020); the activation is rounded to
// `type`. Ungated: out = activation(joined).
struct Gate {
  Type type = Type::float32;
  Activation activation = Activation::silu;
  bool gated = true;
  const void* joined = nullptr;  // [rows, 2 · width]; ungated [rows, width]
  int64_t rows = 0, width = 0;
  void* out = nullptr;  // [rows, width]
};
void gate(const Gate& arguments, const Queue& queue);

}  // namespace cmc::kernels
