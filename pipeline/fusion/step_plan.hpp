#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/fusion/context_cache.hpp"
#include "pipeline/model/pass_plan.hpp"

namespace cmc::fusion {

// What one model, or each part of a delta, reads in a step.
struct Reading {
  std::vector<Portion> portions;
  std::vector<model::PassPlan> passes;  // one a model; none: nothing is read
};

// A delta's share of a step.
struct DeltaReading {
  size_t delta = 0;  // among the source's
  Reading reading;
  std::vector<int64_t> rows;  // [K] of the fused logits; the slots of the portions that are read whole, in their order
  std::vector<float> alphas;  // [K]
  int64_t padding = 0;        // rows that the passes have beyond those
};

// One step as the host decided it. Its rows are the slots whose contexts are read whole, in the order asked for.
struct StepPlan {
  std::vector<int64_t> slots;                      // asked for
  std::vector<bool> whole;                         // [slots]
  std::vector<std::vector<int64_t>> delta_tokens;  // [slots][terms] that it reads; -1: all it has not read by then
  int64_t rows = 0, padding = 0;
  bool padded = false;   // rows are filled up where `decodes`
  bool decodes = false;  // one token a row and nothing else
  bool encodes = false;  // some deltas read what the host encodes: SteeredContexts::plan_encoded() is still to come
  Reading base;
  std::vector<DeltaReading> deltas;
};

// The number of rows that so many are filled up to: few numbers, so that few graphs serve all.
int64_t bucket_of(int64_t rows);

}  // namespace cmc::fusion
