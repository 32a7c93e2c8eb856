#pragma once
#include <torch/types.h>

#include <memory>
#include <span>
#include <vector>

#include "pipeline/fusion/lazy_logits.hpp"
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
  void append(int64_t slot, int32_t id);                 // may be model::chosen_token
  void clear(int64_t slot) { set(slot, {}); }
  int64_t length(int64_t slot) const { return static_cast<int64_t>(wanted_[static_cast<size_t>(slot)].size()); }
  int64_t capacity() const { return cache_.capacity(); }
  const model::DecoderModel& model() const { return *model_; }

  // Tokens that a pass has to read before the context can be continued: at least one, for the state after it.
  int64_t unread(int64_t slot) const;

  // The pass that reads these portions. The states after the last token of slots that are read whole with it are
  // wanted, in their order. `padding` rows of the spare slot follow, wanted as well. The cache grows where it must.
  model::PassPlan plan(std::span<const Portion> portions, int64_t padding);
  // Launches it: [rows, V] float32 logits of the states wanted; `rows` 0: none was, and there is no output layer.
  LazyLogits logits(const model::DevicePlan& plan, int64_t rows);
  torch::Tensor no_logits() const;  // [0, V]
  // It has been launched.
  void advance(std::span<const Portion> portions);

 private:
  std::shared_ptr<const model::DecoderModel> model_;
  model::KvCache cache_;
  std::vector<std::vector<int32_t>> wanted_;  // [slots]; the cache holds a prefix of each
  std::shared_ptr<model::KeptMemory> logits_memory_ = std::make_shared<model::KeptMemory>();
};

}  // namespace cmc::fusion
