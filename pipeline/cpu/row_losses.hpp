#pragma once
#include <cstdint>

namespace cmc::cpu {

// Losses of one row of logits [width], which stays in the caches through all passes. They need AVX2
// (instruction_set()).

// log Σ exp(z)
float normaliser_of(const float* z, int64_t width);

// Replaces z by weight · (softmax(z) − onehot(label)). → the cross-entropy.
float cross_entropy_row(float* z, int64_t width, int64_t label, float weight);

// p = softmax(other), q = softmax(fused): replaces `fused` by weight · (q − p).
struct ComparedRow {
  float crossed, divergence;  // Σ p log q and Σ p (log p − log q)
};
ComparedRow compare_row(const float* other, float* fused, int64_t width, float weight);

}  // namespace cmc::cpu
