#pragma once
#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "pipeline/checkpoint/model_config.hpp"

namespace cmc::model {

// A rank's place among those that a model is split over.
struct TensorRank {
  int index = 0, size = 1;
  bool operator==(const TensorRank&) const = default;
};

struct Range {
  int64_t first = 0, count = 0;
};

// Some of the `whole` rows (or columns) of a stored tensor, in the order in which a rank holds them.
struct Slices {
  int64_t whole = 0;
  std::vector<Range> ranges;
  int64_t count() const;
};
Slices all_of(int64_t whole);

// target = these rows of `stored`, of a matrix these columns; touches nothing else of `stored`.
void copy_slices(const torch::Tensor& stored, const Slices& rows, const Slices& columns, torch::Tensor& target);

// Which part of a model a rank holds (tensor parallelism; Shoeybi et al. 2019): whole query heads with the key/value
// heads that they read, and contiguous shares of the MLP's width and of the vocabulary.
struct TensorSplit {
  TensorRank tensor_rank;
  checkpoint::ModelConfig local;  // the model's configuration with this rank's heads and MLP width
  Slices queries, keys;           // rows of q_proj; of k_proj and v_proj
  Slices intermediate;            // rows of gate_proj and up_proj
  Slices vocabulary;              // rows of embedding and output
};

// Throws Refused when the heads cannot be dealt out evenly, or a rank would get nothing of the rest.
TensorSplit split_model(const checkpoint::ModelConfig& config, TensorRank tensor_rank);

// The share of a rank in `whole`, contiguous and as even as can be.
Range share_of(int64_t whole, TensorRank tensor_rank);

}  // namespace cmc::model
