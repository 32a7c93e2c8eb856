#pragma once
#include <torch/types.h>

#include "pipeline/distributed/communicator.hpp"
#include "pipeline/model/tensor_split.hpp"

namespace cmc::model {

// The way of the residual stream through blocks of ranks that hold a model's layers one after the other (pipeline
// parallelism, without micro-batches: a block works while the others wait). Goes through the host: what is handed on is
// small, and the blocks are on several nodes. Autograd follows it: gradients go the same way back.
class LayerPipeline {
 public:
  LayerPipeline() = default;  // one block: all is the identity
  // Collective over all `ranks`, which lie block after block.
  LayerPipeline(const distributed::Communicator& ranks, TensorRank rank);

  bool is_split() const { return block_.size > 1; }
  bool is_last() const { return block_.index + 1 == block_.size; }
  // What the block before hands on; in the first one `x` itself, the embedded tokens, which all ranks have. Where
  // `trains_embedding`, every rank's x gets the gradient that the first block finds.
  torch::Tensor take_over(const torch::Tensor& x, bool trains_embedding) const;
  // Hands this block's stream to the next one. In the last block `x` [W, hidden] is the stream behind all layers, which
  // every rank gets in place of its own.
  torch::Tensor hand_on(const torch::Tensor& x, int64_t wanted) const;

  // Along the way back.
  void return_gradient(const torch::Tensor& gradient) const;            // to the block before
  torch::Tensor await_gradient(const torch::Tensor& like) const;        // from the next one
  torch::Tensor from_first_block(const torch::Tensor& gradient) const;  // everyone's is the first block's

 private:
  TensorRank block_;
  distributed::Communicator ranks_, before_, next_;  // before_, next_: this rank and the same one of that block
  int last_first_ = 0;                               // rank that begins the last block
};

}  // namespace cmc::model
