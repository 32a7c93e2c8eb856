#pragma once
#include <cstdint>

#include "pipeline/kernels/queue.hpp"

namespace cmc::kernels {

// out[n] = table[token - first] · scale. What a decoding step chose is fed to the next without the host: a negative
// token stands for the last choice of its slot.
struct Embed {
  Type type = Type::float32;
  const void* table = nullptr;      // [rows, width]
  int64_t rows = 0, width = 0;      // width > 0
  int64_t first = 0;                // the table's own range of the vocabulary; a token outside gives 0
  float scale = 1.0f;               // rounded to `type` before it multiplies (Gemma)
  const int32_t* tokens = nullptr;  // [count]
  const int32_t* chosen = nullptr;  // [slots] written by fused_choice; may be null where no token is negative
  const int32_t* slots = nullptr;   // [count] likewise; negative, or null: padding of the batch, reads token 0
  int64_t count = 0;
  void* out = nullptr;  // [count, width]
};
void embed(const Embed& arguments, const Queue& queue);

}  // namespace cmc::kernels
