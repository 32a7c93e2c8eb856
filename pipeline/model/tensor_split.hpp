#pragma once
#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "pipeline/checkpoint/model_config.hpp"

namespace cmc::model {

// A rank's place among those that a model is split over: blocks of ranks, one after the other, hold consecutive layers
// (pipeline parallelism), and the ranks of a block parts of each of these (tensor parallelism).
struct TensorRank {
  int index = 0, size = 1;
  int blocks = 1;
  bool operator==(const TensorRank&) const = default;

  TensorRank in_block() const { return {index % (size / blocks), size / blocks}; }
  TensorRank block() const { return {index / (size / blocks), blocks}; }
};

// Numbers first, first + step, …
struct Range {
  int64_t first = 0, count = 0, step = 1;
};

// Some of the `whole` rows (or columns) of a stored tensor, in the order in which a rank holds them.
struct Slices {
  int64_t whole = 0;
  std::vector<Range> ranges;
  int64_t count() const;
};
Slices all_of(int64_t whole);
// All of one, then all of another that is stored behind it.
Slices followed_by(const Slices& first, const Slices& second);

// target = these rows of `stored`, of a matrix these columns; touches nothing else of `stored`.
void copy_slices(const torch::Tensor& stored, const Slices& rows, const Slices& columns, torch::Tensor& target);
// The way back: these rows and columns of `stored` = held, or += held (what is held twice then counts twice).
void put_slices(const torch::Tensor& held, const Slices& rows, const Slices& columns, torch::Tensor& stored);
void add_slices(const torch::Tensor& held, const Slices& rows, const Slices& columns, torch::Tensor& stored);
// The same, where the slices are all of a stored tensor: what is to be stored.
torch::Tensor stored_order(const torch::Tensor& held, const Slices& rows, const Slices& columns);

// Which part of a model a rank holds (tensor parallelism; Shoeybi et al. 2019): of its block's layers whole query heads
// with the key/value heads that they read and contiguous shares of the MLP's width; of the vocabulary a share among
// all.
struct TensorSplit {
  TensorRank tensor_rank;
  checkpoint::ModelConfig local;   // the model's configuration with this rank's heads, widths and number of layers
  Range layers;                    // of the model's
  Range query_heads;               // of the model's
  std::vector<int64_t> key_heads;  // of the model's, those that these queries read, in the order of the cache
  Slices intermediate;             // of the MLP's width
  Slices expert_intermediate, shared_intermediate;
  Slices vocabulary;  // rows of embedding and output
};

// Throws Refused when the heads cannot be dealt out evenly, or a rank would get nothing of the rest.
TensorSplit split_model(const checkpoint::ModelConfig& config, TensorRank tensor_rank);

// The share of a rank in `whole`, contiguous and as even as can be (blocks of ranks do not count).
Range share_of(int64_t whole, TensorRank tensor_rank);

}  // namespace cmc::model
