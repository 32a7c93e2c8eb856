#pragma once
#include <cstdint>

#include "pipeline/kernels/queue.hpp"

namespace cmc::kernels {

// residual += branch, then out = RMSNorm(residual) (Zhang & Sennrich 2019), computed in float32 and rounded where
// transformers rounds: normed to `type`, then times weight (Llama), or times weight + 1 before rounding (Gemma).
struct AddNorm {
  Type type = Type::float32;
  void* residual = nullptr;             // [rows, width], read and written
  const void* branch = nullptr;         // [rows, width]; null: the residual stays as it is
  const void* branch_weight = nullptr;  // [width] the branch's own norm before the sum (Gemma's post norms); null: none
  const void* weight = nullptr;         // [width]; null: no norm, `out` is not written
  void* out = nullptr;                  // [rows, width]
  int64_t rows = 0, width = 0;
  float epsilon = 1e-6f;
  bool adds_one = false;  // of both weights
};
void add_norm(const AddNorm& arguments, const Queue& queue);

}  // namespace cmc::kernels
