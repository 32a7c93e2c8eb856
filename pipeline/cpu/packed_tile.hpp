#pragma once
#include <cstdint>

#include "pipeline/cpu/instruction_set.hpp"

namespace cmc::cpu {

// A few rows of x times some strips of 16 outputs of a packed matrix: the sums stay in registers.
struct PackedTile {
  const float* x;  // [rows, inputs], rows `x_stride` apart
  int64_t x_stride, inputs;
  const uint32_t* words;  // of the first input and strip
  int64_t strip;          // words from a strip to the next; steps are 16 apart
  const char* ahead;      // memory that is wanted next: fetched `ahead_step` bytes a step
  int64_t ahead_step;
  float* out;  // [rows, strips * 16], rows `out_stride` apart
  int64_t out_stride;
  bool adds;  // to what `out` holds: sums of the inputs before
};

constexpr int64_t most_tile_numbers = 8 * 3 * 16;  // of any tile's `out`

// Rows of a tile at most, and strips of a tile of so many rows: what registers hold, and enough of them that the
// multipliers do not wait for their own sums.
constexpr int64_t tile_rows(InstructionSet set) {
  return set == InstructionSet::avx512 ? 8 : 6;
}
constexpr int64_t tile_strips(InstructionSet set, int64_t rows) {
  if (set == InstructionSet::avx512) return 3;
  return rows == 1 ? 4 : rows == 2 ? 3 : 1;
}

// set: one that this processor has, not none. narrow: a word holds two inputs of an output as bfloat16, the first low;
// else one as float32.
void multiply_tile(InstructionSet set, const PackedTile& tile, int64_t rows, int64_t strips, bool narrow);

}  // namespace cmc::cpu
