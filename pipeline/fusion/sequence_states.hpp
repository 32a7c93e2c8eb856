#pragma once
#include <torch/types.h>

#include <span>
#include <vector>

#include "pipeline/core/ids.hpp"
#include "pipeline/fusion/prefix_forest.hpp"
#include "pipeline/model/decoder_model.hpp"

namespace cmc::fusion {

// A known sequence whose tokens from `first` (at least 1) on are predicted.
struct Predicted {
  std::span<const BaseToken> tokens;
  int64_t first = 1;
};

// A tree is read with a mask of its tokens squared: beyond so many another one begins.
inline constexpr int64_t largest_tree = 2048;

// [A, hidden] the states before the predicted tokens, sequence after sequence. Neighbours with a common beginning
// (answers to one prompt) are read as one tree, so that the beginning is read once; the others packed in one pass.
torch::Tensor states_before_answers(const model::DecoderModel& model, std::span<const Predicted> sequences);

// [A, hidden] the states at these nodes, from one pass over the forest with a tree mask.
torch::Tensor states_of_nodes(const model::DecoderModel& model, const PrefixForest& forest,
                              const std::vector<int64_t>& nodes);

}  // namespace cmc::fusion
