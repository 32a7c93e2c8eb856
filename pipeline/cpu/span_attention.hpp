#pragma once
#include <cstdint>
#include <vector>

namespace cmc::cpu {

// The query heads of one span that share a key/value head; rows of tokens `stride` floats apart. Needs
// an instruction_set().
struct SpanHeads {
  const float *query, *key, *value;  // query: of the first head, the others behind it
  int64_t tokens, group, head_dim, stride;
  float scale;
  int64_t window;  // a query sees so many keys up to its own; 0: all
};

// out [tokens, group, head_dim], tokens `out_stride` apart; `normalisers` [tokens, group], tokens `heads` apart: the
// logarithm of the sum of each query's exponentiated scores.
void attend_span(const SpanHeads& heads, float* out, int64_t out_stride, float* normalisers, int64_t all_heads);

// Gradients by the three, of the same layout as they are; those by key and value are added to what stands there.
struct SpanSlopes {
  const float* upstream;  // by out
  int64_t upstream_stride;
  const float* normalisers;
  int64_t all_heads;
  float *query, *key, *value;
};
void attend_span_back(const SpanHeads& heads, const SpanSlopes& slopes);

}  // namespace cmc::cpu
