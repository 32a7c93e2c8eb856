#pragma once
#include <cstdint>

#include "pipeline/kernels/gate.hpp"

namespace cmc::cpu {

// What a layer does to one row of contiguous memory. They need AVX2 (instruction_set()).

struct RowNorm {
  const float* weight = nullptr;  // [width]; null: 1 everywhere
  const float* bias = nullptr;    // [width]; null: none
  float offset = 0.0f;            // added to the weight
  float epsilon = 1e-6f;
  bool centred = false;  // LayerNorm: the mean is taken off first
};

// mean: 0 where it is not taken off; scale: 1 / sqrt(variance + epsilon).
struct RowMoments {
  float mean, scale;
};
RowMoments moments_of(const float* x, const RowNorm& norm, int64_t width);

// y = (x - mean) / sqrt(variance + epsilon) * (weight + offset) + bias; y may be x.
void norm_row(const float* x, const RowNorm& norm, int64_t width, float* y);

// x += scale * added
void add_row(float* x, const float* added, float scale, int64_t width);

// y = activation(gate) * up; up null: y = activation(gate)
void gate_row(kernels::Activation activation, const float* gate, const float* up, int64_t width, float* y);

// Rotates the halves of a head in place: (a, b) becomes (a cos - b sin, b cos + a sin), each of `half` numbers.
void rotate_head(float* head, const float* cosine, const float* sine, int64_t half);

}  // namespace cmc::cpu
