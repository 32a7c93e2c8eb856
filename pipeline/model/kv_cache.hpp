#pragma once
#include <torch/types.h>

#include <vector>

#include "pipeline/checkpoint/model_config.hpp"

namespace cmc::model {

// Keys and values of `slots` sequences, each up to `capacity` tokens. A slot can be cut back to any prefix.
// The slot after the last is a spare one of a single token, for rows that pad a batch: it is written and read but
// belongs to no sequence, and several spans of a pass may name it.
class KvCache {
 public:
  KvCache(const checkpoint::ModelConfig& config, int64_t slots, int64_t capacity, torch::Dtype dtype,
          torch::Device device);

  int64_t slots() const { return static_cast<int64_t>(lengths_.size()); }
  int64_t spare_slot() const { return slots(); }
  int64_t capacity() const { return capacity_; }
  int64_t length(int64_t slot) const { return slot == spare_slot() ? 0 : lengths_[static_cast<size_t>(slot)]; }
  // Forgets everything after the first `length` tokens; O(1).
  void truncate(int64_t slot, int64_t length);
  // Called once a span has been written (or its writing launched). The spare slot stays empty.
  void advance(int64_t slot, int64_t tokens);
  // Room for `capacity` tokens a slot, at least doubled, keeping what is held: one tensor at a time, so that at no
  // moment the whole cache is there twice. Addresses change.
  void grow(int64_t capacity);

  // [slots * capacity + 1, kv_heads, head_dim]: token `place` of a slot at row slot * capacity + place.
  const torch::Tensor& keys(int64_t layer) const { return keys_[static_cast<size_t>(layer)]; }
  const torch::Tensor& values(int64_t layer) const { return values_[static_cast<size_t>(layer)]; }  // same
  int64_t layers() const { return static_cast<int64_t>(keys_.size()); }

 private:
  int64_t capacity_;
  std::vector<int64_t> lengths_;
  std::vector<torch::Tensor> keys_, values_;
};

}  // namespace cmc::model
