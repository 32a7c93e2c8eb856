#pragma once
#include <cstdint>
#include <vector>

namespace cmc::cpu {

// One token's query heads that share a key/value head, and the stretch of the cache they attend to.
struct AttentionRow {
  const float* query;          // [group, head_dim]
  const float *keys, *values;  // [places, head_dim] of this slot and head, places `stride` floats apart
  int64_t group, head_dim;     // head_dim a multiple of 8
  int64_t stride;
  int64_t first, last;          // places [first, last)
  float scale;                  // multiplies q·k
  float softcap = 0.0f;         // scores become softcap · tanh(score / softcap); 0: none
  const float* bias = nullptr;  // added to the scores: of the group's first head by place, heads `bias_stride` apart
  int64_t bias_stride = 0;
  const float* sinks = nullptr;  // [group] a score more in each softmax, which no value answers to
};

// out [group, head_dim] = softmax(scale q·k + bias) v, float32; `scratch` grows to [group, last - first].
// Needs AVX2 (instruction_set()).
void attend_row(const AttentionRow& row, std::vector<float>& scratch, float* out);

}  // namespace cmc::cpu
