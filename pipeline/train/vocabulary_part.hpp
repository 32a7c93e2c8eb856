#pragma once
#include <torch/types.h>

#include "pipeline/model/tensor_group.hpp"

namespace cmc::train {

// The part of the vocabulary whose logits this rank computes: all of it, or where the ranks of a group hold an output
// layer together its share_of() there (Megatron-LM's vocabulary-parallel cross-entropy). No rank ever has a row of all
// logits: sums over the vocabulary are made of every rank's. Rows z below are [C, own part]; what is returned is the
// same on every rank, without gradients, and collective where the vocabulary is split.
class VocabularyPart {
 public:
  VocabularyPart() = default;
  VocabularyPart(model::TensorGroup group, int64_t vocabulary) : group_(std::move(group)), vocabulary_(vocabulary) {}

  bool is_split() const { return group_.is_split(); }
  const model::TensorGroup& group() const { return group_; }
  // Of the whole vocabulary, where the own part has so many tokens.
  int64_t vocabulary(int64_t own) const { return is_split() ? vocabulary_ : own; }
  // Of a tensor over the whole vocabulary the own rows; the tensor itself where there is nothing to split.
  torch::Tensor rows_of(const torch::Tensor& whole) const;
  // Tokens of the largest part, where the own one has so many.
  int64_t largest(int64_t own) const;

  torch::Tensor max(const torch::Tensor& z) const;        // [C, 1]
  torch::Tensor sum(const torch::Tensor& z) const;        // [C, 1]
  torch::Tensor logsumexp(const torch::Tensor& z) const;  // [C, 1]

  // Where tokens [C] of the whole vocabulary stand in the own part.
  struct Places {
    torch::Tensor index;   // [C, 1]; of foreign tokens any
    torch::Tensor is_own;  // [C, 1] bool; undefined: all are
  };
  Places places(const torch::Tensor& tokens) const;
  torch::Tensor at(const torch::Tensor& z, const Places& places) const;                    // [C, 1]
  void add_at(torch::Tensor& z, const Places& places, const torch::Tensor& values) const;  // z += values [C, 1] there

 private:
  model::TensorGroup group_;
  int64_t vocabulary_ = 0;
};

}  // namespace cmc::train
