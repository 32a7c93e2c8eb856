#pragma once
#include <cstdint>

#include "pipeline/cpu/row_kernels.hpp"

namespace cmc::cpu {

// Backward passes of the kernels of row_kernels.hpp, one row of contiguous memory a call. They need
// an instruction_set().

// From x and the gradient by norm_row's y: slope = carried + that by x (carried null: 0). What weight and bias get of
// this row is added to `weight` and `bias` (null: not wanted). `slope` may be `carried` or `upstream`.
struct NormSlopes {
  const float* carried;
  float* slope;
  float *weight, *bias;
};
void norm_row_back(const float* x, const RowNorm& norm, const float* upstream, int64_t width, const NormSlopes& slopes);

// From gate_row's inputs and the gradient by its y those by gate and up (null as there). Not of erf's GELU.
void gate_row_back(kernels::Activation activation, const float* gate, const float* up, const float* upstream,
                   int64_t width, float* by_gate, float* by_up);

// Turns a head back: what rotate_head has turned becomes what it was, where cosine² + sine² is 1; the gradient by its
// result becomes that by its input, in place.
void rotate_head_back(float* head, const float* cosine, const float* sine, int64_t half);

}  // namespace cmc::cpu
