#pragma once
#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "pipeline/fusion/delta_gate.hpp"
#include "pipeline/fusion/lazy_logits.hpp"
#include "pipeline/fusion/map_variant.hpp"
#include "pipeline/fusion/sampling.hpp"
#include "pipeline/model/kept_memory.hpp"

namespace cmc::fusion {

enum class Normalisation { raw, log_softmax };

// Where a device reads which rows a term is for: views of what the step's one copy brought.
struct Placed {
  torch::Tensor row_of;        // [R] int32 row of the term's logits for each row of the base, -1: none
  torch::Tensor coefficients;  // [K] float32
};

// One delta's share of the sum, for some of the rows: coefficient · logits[map], unmapped base tokens get 0.
struct LogitTerm {
  LazyLogits logits;                // [K, Vi] float32
  std::vector<int64_t> rows;        // [K] row of the base each belongs to; each at most once
  std::vector<float> coefficients;  // [K] alpha
  torch::Tensor map;  // [V] int32 on the logits' device, ids below Vi, -1: unmapped; undefined: same vocabulary
  Normalisation normalisation = Normalisation::raw;  // log_softmax: over the delta's own vocabulary, before mapping
  MapVariant variant = {};                           // the default in the same vocabulary
  Placed placed = {};   // says the same as rows and coefficients; undefined: made when needed
  MapIndex index = {};  // of map and variant, where it is kept; undefined: made when needed
  DeltaGate gate = {};
  std::shared_ptr<model::KeptMemory> memory = {};  // of a CPU's scaled copy of the logits; null: memory of its own
  torch::Tensor reach = {};                        // [V] float32, see reach_of(); undefined: not known
};

// What decides the draws of R rows.
struct Draws {
  Sampling sampling;
  std::span<const double> uniforms;  // [R] in [0, 1), on the host; not read when greedy
  torch::Tensor placed;              // [R] float64: the same where a device reads them
};

// Where a choice goes, on the device of the logits.
struct ChoiceTarget {
  torch::Tensor tokens;  // [R] int32; -1 where a row holds no finite score
  torch::Tensor chosen;  // int32 by slot: chosen[slots[r]] becomes the token of row r, 0 in place of -1
  torch::Tensor slots;   // [R] int32
};

}  // namespace cmc::fusion
