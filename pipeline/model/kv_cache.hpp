#pragma once
#include <torch/types.h>

#include <vector>

#include "pipeline/checkpoint/model_config.hpp"

namespace cmc::model {

// Keys and values of `slots` sequences, each up to `capacity` tokens. A slot can be cut back to any prefix.
class KvCache {
 public:
  KvCache(const checkpoint::ModelConfig& config, int64_t slots, int64_t capacity, torch::Dtype dtype,
          torch::Device device);

  int64_t slots() const { return static_cast<int64_t>(lengths_.size()); }
  int64_t capacity() const { return capacity_; }
  int64_t length(int64_t slot) const { return lengths_[static_cast<size_t>(slot)]; }
  // Forgets everything after the first `length` tokens; O(1).
  void truncate(int64_t slot, int64_t length);
  void advance(int64_t slot, int64_t tokens);  // called by the model after it has written a span

  torch::Tensor& keys(int64_t layer) {
    return keys_[static_cast<size_t>(layer)];
  }  // [slots, kv_heads, capacity, head_dim]
  torch::Tensor& values(int64_t layer) { return values_[static_cast<size_t>(layer)]; }  // same

 private:
  int64_t capacity_;
  std::vector<int64_t> lengths_;
  std::vector<torch::Tensor> keys_, values_;
};

}  // namespace cmc::model
