#pragma once
#include <cstdint>

#include "pipeline/kernels/queue.hpp"

namespace cmc::kernels {

// Grouped-query attention of new tokens over the static cache, where flash attention does not reach: float32,
// soft-capped scores, head sizes that it does not take. Softmax in float32, online over tiles of keys (Milakov &
// Gimelshein 2018), the keys of a token split over blocks where there are few tokens.
struct AttendCache {
  Type type = Type::float32;
  const void* query = nullptr;                          // [count, heads, dim]
  const void* keys = nullptr;                           // [slots · capacity, kv_heads, dim]
  const void* values = nullptr;                         // the same
  int64_t count = 0, heads = 0, kv_heads = 0, dim = 0;  // dim <= attend_largest_dim, heads a multiple of kv_heads
  const int32_t* slots = nullptr;                       // [count] negative: padding of the batch, gets 0
  const int32_t* places = nullptr;  // [count] a token attends to places 0 to its own, which is below capacity
  int64_t capacity = 0;
  int64_t window = 0;            // the last so many places alone; 0: all
  float scale = 1.0f;            // multiplies query · key
  float softcap = 0.0f;          // scores become softcap · tanh(score / softcap); 0: none
  const float* bias = nullptr;   // added to the scores, by head and the key's place; null: none
  int64_t bias_stride = 0;       // numbers from one head's to the next's, at least capacity
  const float* sinks = nullptr;  // [heads] a score more in each softmax, which no value answers to; null: none
  void* workspace = nullptr;     // attend_workspace() bytes, zero before its first use; left ready for the next
  void* out = nullptr;           // [count, heads, dim]
};
inline constexpr int64_t attend_largest_dim = 512;

// Bytes of workspace for heads of this size, whatever the counts.
int64_t attend_workspace(int64_t dim);
void attend_cache(const AttendCache& arguments, const Queue& queue);

}  // namespace cmc::kernels
