#include "pipeline/model/kv_cache.hpp"

#include <algorithm>
#include <limits>

#include "pipeline/core/error.hpp"

namespace cmc::model {

namespace {

// Rows are numbered in int32 on the device.
void check_rows(int64_t slots, int64_t capacity) {
  expect(slots > 0 && capacity > 0, "a cache has at least one slot and one token");
  expect(capacity < std::numeric_limits<int32_t>::max() / slots, "the rows of a cache are numbered in 32 bits");
}

}  // namespace

KvCache::KvCache(const checkpoint::ModelConfig& config, int64_t slots, int64_t capacity, torch::Dtype dtype,
                 torch::Device device)
    : capacity_(capacity), lengths_(static_cast<size_t>(slots), 0) {
  check_rows(slots, capacity);
  const auto options = torch::TensorOptions().dtype(dtype).device(device);
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    // Zeros: a padded batch multiplies cells that were never written by zero, which must not give NaN.
    keys_.push_back(torch::zeros({slots * capacity + 1, config.kv_heads, config.head_dim}, options));
    values_.push_back(torch::zeros_like(keys_.back()));
  }
}

void KvCache::truncate(int64_t slot, int64_t length) {
  expect(slot >= 0 && slot < slots(), "cache slot inside the cache");
  expect(length >= 0 && length <= this->length(slot), "a slot is cut to a prefix of what it holds");
  lengths_[static_cast<size_t>(slot)] = length;
}

void KvCache::advance(int64_t slot, int64_t tokens) {
  expect(slot >= 0 && slot <= spare_slot(), "cache slot inside the cache");
  if (slot == spare_slot()) return;
  expect(tokens >= 0 && length(slot) + tokens <= capacity_, "a slot never exceeds the cache's capacity");
  lengths_[static_cast<size_t>(slot)] += tokens;
}

void KvCache::grow(int64_t capacity) {
  capacity = std::max(capacity, 2 * capacity_);
  check_rows(slots(), capacity);
  const int64_t kept = *std::ranges::max_element(lengths_);
  const auto enlarge = [&](torch::Tensor& held) {
    const int64_t heads = held.size(1), dim = held.size(2);
    torch::Tensor larger = torch::zeros({slots() * capacity + 1, heads, dim}, held.options());
    const auto prefixes = [&](const torch::Tensor& rows, int64_t places) {  // [slots, kept, heads, dim]
      return rows.narrow(0, 0, slots() * places).view({slots(), places, heads, dim}).narrow(1, 0, kept);
    };
    prefixes(larger, capacity).copy_(prefixes(held, capacity_));
    held = std::move(larger);
  };
  for (torch::Tensor& keys : keys_) enlarge(keys);
  for (torch::Tensor& values : values_) enlarge(values);
  capacity_ = capacity;
}

}  // namespace cmc::model
