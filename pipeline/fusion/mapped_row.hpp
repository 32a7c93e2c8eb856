#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "pipeline/fusion/fused_kernels.hpp"
#include "pipeline/fusion/map_variant.hpp"

namespace cmc::fusion {

// Delta logits of base tokens on the CPU, one row: where the map is a variant, and fill and few tokens are looked for
// before the kernels run.
struct MappedRow {
  const float* logits = nullptr;
  const int32_t* ids = nullptr;      // [size] one for each base token, -1: unmapped; with offsets: lists of them
  const int64_t* offsets = nullptr;  // [size + 1]; null: one-to-one
  int64_t size = 0;                  // base tokens that the map knows

  // What base token `v` gets; empty: unmapped.
  std::optional<float> of(int64_t v) const;
};

// The `count` tokens of largest base logit, the lowest ids among equals, ascending. O(V · log count).
std::vector<int64_t> most_probable(const float* base, int64_t vocabulary, int64_t count);

// What unmapped tokens get, from the delta logits that `tokens` have; 0 where none has one.
float fill_of(const MappedRow& row, const std::vector<int64_t>& tokens, Unmapped unmapped);
float fill_of_all(const MappedRow& row, Unmapped unmapped);

// The row's delta logits at `tokens`, ascending, times `coefficient`; all other tokens get the fill.
KernelRow::Few few_of(const MappedRow& row, std::vector<int64_t> tokens, Unmapped unmapped, float coefficient);

}  // namespace cmc::fusion
