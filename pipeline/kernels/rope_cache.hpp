#pragma once
#include <cstdint>

#include "pipeline/kernels/add_norm.hpp"
#include "pipeline/kernels/queue.hpp"

namespace cmc::kernels {

// Splits the joined projections of new tokens, norms the heads of query and key where asked, turns them
// (Llama's rotate_half layout), and writes key and value into the static cache.
struct RopeCache {
  Type type = Type::float32;
  const void* joined = nullptr;                         // [count, (heads + 2 kv_heads) · dim] query, key, value
  int64_t count = 0, heads = 0, kv_heads = 0, dim = 0;  // dim even
  const float* cosine = nullptr;                        // [count, dim / 2], rounded to `type` before use
  const float* sine = nullptr;                          // [count, dim / 2]
  NormOf query_norm = {}, key_norm = {};                // of each head
  int64_t norm_stride = 0;          // from one head's weights to the next's; 0: all heads share them
  const int32_t* slots = nullptr;   // [count] slot of the cache; negative: padding of the batch, writes no cache
  const int32_t* places = nullptr;  // [count] place inside the slot, below capacity
  int64_t capacity = 0;
  void* query = nullptr;  // [count, heads, dim]
  void* keys = nullptr;   // [slots · capacity, kv_heads, dim]: row slot · capacity + place is written
  void* values = nullptr;
};
void rope_cache(const RopeCache& arguments, const Queue& queue);

}  // namespace cmc::kernels
