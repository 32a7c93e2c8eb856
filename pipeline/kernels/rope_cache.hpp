#pragma once
#include <cstdint>

#include "pipeline/kernels/queue.hpp"

namespace cmc::kernels {

// Splits the joined projections of new tokens, norms the heads of query and key (Gemma 3, Qwen 3; optional), turns them
// (Llama's rotate_half layout), and writes key and value into the static cache.
struct RopeCache {
  Type type = Type::float32;
  const void* joined = nullptr;                         // [count, (heads + 2 kv_heads) · dim] query, key, value
  int64_t count = 0, heads = 0, kv_heads = 0, dim = 0;  // dim even
  const float* cosine = nullptr;                        // [count, dim / 2], rounded to `type` before use
  const float* sine = nullptr;                          // [count, dim / 2]
  const void* query_norm = nullptr;                     // [dim] RMSNorm's weight; null: none
  const void* key_norm = nullptr;                       // [dim]
  float epsilon = 1e-6f;
  bool adds_one = false;            // Gemma: weight + 1
  const int32_t* slots = nullptr;   // [count] slot of the cache; negative: padding of the batch, writes no cache
  const int32_t* places = nullptr;  // [count] place inside the slot, below capacity
  int64_t capacity = 0;
  void* query = nullptr;  // [count, heads, dim]
  void* keys = nullptr;   // [slots · capacity, kv_heads, dim]: row slot · capacity + place is written
  void* values = nullptr;
};
void rope_cache(const RopeCache& arguments, const Queue& queue);

}  // namespace cmc::kernels
