#pragma once
#include <torch/types.h>

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "pipeline/model/decoder_model.hpp"

namespace cmc::fusion {

// So many of the unread tokens of a slot's context are read in one pass.
struct Portion {
  int64_t slot = 0, tokens = 1;
};

// One model that follows the contexts of several slots. A context may change anywhere: the cache is kept up to the
// longest common prefix and only what differs is read again.
class ContextCache {
 public:
  ContextCache(std::shared_ptr<const model::DecoderModel> model, int64_t slots, int64_t initial_capacity);

  void set(int64_t slot, std::span<const int32_t> ids);  // the whole context the slot shall have read
  void append(int64_t slot, int32_t id);
  void clear(int64_t slot) { set(slot, {}); }
  int64_t length(int64_t slot) const { return static_cast<int64_t>(wanted_[static_cast<size_t>(slot)].size()); }

  // Tokens that a pass has to read before the context can be continued: at least one, for the state after it.
  int64_t unread(int64_t slot) const;

  // Reads these portions in one packed pass; [K, V] float32 logits after the last token of each slot that is read whole
  // with it, in their order.
  torch::Tensor read(std::span<const Portion> portions);

 private:
  torch::Tensor no_logits() const;

  std::shared_ptr<const model::DecoderModel> model_;
  model::KvCache cache_;
  std::vector<std::vector<int32_t>> wanted_;  // [slots]; the cache holds a prefix of each
};

}  // namespace cmc::fusion
