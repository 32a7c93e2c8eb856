#pragma once
#include <torch/types.h>

#include <string_view>

#include "pipeline/token_map/token_map.hpp"

namespace cmc::fusion {

// The delta logit of base tokens that have none of their own. Delta logits are raw scores, so that 0 may lie anywhere
// among those of a position; the others do not depend on where they lie.
enum class Unmapped {
  zero,     // the paper's
  minimum,  // the smallest that a base token of the position has: what the delta cannot judge is not promoted
  mean,     // their mean: neither promoted nor held back
};

Unmapped unmapped(std::string_view name);  // throws BadExperiment naming the known ones
std::string_view name_of(Unmapped unmapped);

// Whose most probable tokens get delta logits where there is a limit.
enum class TopOf {
  base,
  either,  // the base's, and those whose token is among the delta's: their union (UniTE, Yao et al. 2025, whose next
           // token is always one of these; here the others have what unmapped ones have)
};

// How a term differs from the paper's one-to-one map, for ablations. The default does not.
struct MapVariant {
  // One-to-many: base token v gets the largest logit of candidates[offsets[v]] … before offsets[v + 1], in place of
  // that of its mapped token; or what `pooling` says. Both undefined: one-to-one.
  torch::Tensor candidates;  // [N] int32 ids of the logits, on their device
  torch::Tensor offsets;     // [V + 1] int64; an empty list: unmapped
  // Only the base's most probable tokens of a row, so many, the lowest ids among equals, get delta logits of their own;
  // the others count as unmapped. 0: all.
  int64_t top = 0;
  Unmapped unmapped = Unmapped::zero;
  token_map::Pooling pooling = token_map::Pooling::maximum;
  TopOf top_of = TopOf::base;

  // Whether the kernels know it; what they do not torch operations do, on any device.
  bool in_kernels() const { return pooling == token_map::Pooling::maximum && (top == 0 || top_of == TopOf::base); }
  bool one_to_many() const { return candidates.defined(); }
  bool is_default() const { return !one_to_many() && top == 0 && unmapped == Unmapped::zero; }
};

// What operations read a map by; made once a map, not once a step.
struct MapIndex {
  torch::Tensor
      columns;  // [V] int32 column of the delta's logits that each base token takes; unmapped: one past the last
  torch::Tensor owners;  // [N] int64 base token of each candidate; undefined: one-to-one
};

// `map`: [<= V] int32, -1: unmapped, undefined: same vocabulary; `width`: logits of the delta.
MapIndex index_of(const torch::Tensor& map, const MapVariant& variant, int64_t width, int64_t vocabulary,
                  torch::Device device);

}  // namespace cmc::fusion
