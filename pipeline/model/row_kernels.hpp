#pragma once
#include <cstdint>

#include "pipeline/checkpoint/model_config.hpp"

namespace cmc::model {

// float32 kernels of the CPU inference path, one row of contiguous memory a call. They need PackedMatrix::supported().

// y = x / sqrt(mean(x²) + epsilon) * (weight + offset); y may be x.
void norm_row(const float* x, const float* weight, float offset, float epsilon, int64_t width, float* y);

// x += added, then the same.
void add_norm_row(float* x, const float* added, const float* weight, float offset, float epsilon, int64_t width,
                  float* y);

// y = activation(gate) * up
void gate_row(checkpoint::Activation activation, const float* gate, const float* up, int64_t width, float* y);

// Rotates the halves of a head in place: (a, b) becomes (a cos - b sin, b cos + a sin), each of `half` numbers.
void rotate_head(float* head, const float* cosine, const float* sine, int64_t half);

}  // namespace cmc::model
