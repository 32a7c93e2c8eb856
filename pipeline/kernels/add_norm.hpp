#pragma once
#include <cstdint>

#include "pipeline/kernels/queue.hpp"

namespace cmc::kernels {

// A norm over a row (RMSNorm, Zhang & Sennrich 2019; LayerNorm, Ba et al. 2016), computed in float32 and rounded where
// transformers rounds: Llama's normed number to `type`, then times weight; others after the last step.
struct NormOf {
  bool is_there = false;
  const void* weight = nullptr;  // [width]; null: 1 everywhere
  const void* bias = nullptr;    // [width]; null: none
  float epsilon = 1e-6f;
  bool centred = false;      // LayerNorm
  bool adds_one = false;     // times weight + 1 (Gemma)
  bool rounds_last = false;  // not before the weight multiplies
};

// residual += branch_scale · branch, then out = norm(residual).
struct AddNorm {
  Type type = Type::float32;
  void* residual = nullptr;      // [rows, width], read and written
  const void* branch = nullptr;  // [rows, width]; null: the residual stays as it is
  NormOf branch_norm = {};       // of the branch before the sum (Gemma's post norms)
  float branch_scale = 1.0f;
  NormOf norm = {};     // without one, `out` is not written
  void* out = nullptr;  // [rows, width]
  int64_t rows = 0, width = 0;
};
void add_norm(const AddNorm& arguments, const Queue& queue);

}  // namespace cmc::kernels
