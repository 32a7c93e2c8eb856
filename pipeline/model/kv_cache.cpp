#include "pipeline/model/kv_cache.hpp"

#include "pipeline/core/error.hpp"

namespace cmc::model {

KvCache::KvCache(const checkpoint::ModelConfig& config, int64_t slots, int64_t capacity, torch::Dtype dtype,
                 torch::Device device)
    : capacity_(capacity), lengths_(static_cast<size_t>(slots), 0) {
  expect(slots > 0 && capacity > 0, "a cache has at least one slot and one token");
  const auto options = torch::TensorOptions().dtype(dtype).device(device);
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    // Zeros: a padded batch multiplies cells that were never written by zero, which must not give NaN.
    keys_.push_back(torch::zeros({slots, config.kv_heads, capacity, config.head_dim}, options));
    values_.push_back(torch::zeros({slots, config.kv_heads, capacity, config.head_dim}, options));
  }
}

void KvCache::truncate(int64_t slot, int64_t length) {
  expect(slot >= 0 && slot < slots(), "cache slot inside the cache");
  expect(length >= 0 && length <= this->length(slot), "a slot is cut to a prefix of what it holds");
  lengths_[static_cast<size_t>(slot)] = length;
}

void KvCache::advance(int64_t slot, int64_t tokens) {
  expect(slot >= 0 && slot < slots(), "cache slot inside the cache");
  expect(tokens >= 0 && length(slot) + tokens <= capacity_, "a slot never exceeds the cache's capacity");
  lengths_[static_cast<size_t>(slot)] += tokens;
}

}  // namespace cmc::model
