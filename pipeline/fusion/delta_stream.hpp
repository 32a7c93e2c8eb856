#pragma once
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "pipeline/fusion/base_and_deltas.hpp"
#include "pipeline/fusion/context_cache.hpp"
#include "pipeline/fusion/delta_context.hpp"
#include "pipeline/fusion/logit_source.hpp"

namespace cmc::fusion {

// One delta of a source: what it reads in each slot, and its share of the fused logits.
class DeltaStream {
 public:
  // Throws BadData where parts, tokenizer and map disagree.
  DeltaStream(Delta delta, const Base& base, const FusionSettings& settings);

  bool same_vocabulary() const { return delta_.map == nullptr; }
  bool reads_own_prompt() const { return !same_vocabulary() || contrasts(); }
  bool contrasts() const { return delta_.contrast; }
  const Delta& delta() const { return delta_; }
  // Whether its contexts wait for the host: it encodes the text for another vocabulary, and checks tokens where the
  // delta knows fewer than the base. Else a chosen token is fed back on the device.
  bool reads_encoded() const { return !same_vocabulary() || narrower_; }

  // `prompt`: what it reads first, its own or the base's as reads_own_prompt() says.
  void open(int64_t slot, const std::vector<DeltaToken>& prompt);
  void append(int64_t slot, BaseToken token);
  void append_chosen(int64_t slot);  // what the device chose last for the slot
  void close(int64_t slot);

  // Encodes again what has become stale in these slots of another vocabulary, several at once.
  void settle(std::span<const int64_t> slots);
  // Tokens that a pass has to read of the slot's context; 0: the context is empty and gives no shift.
  int64_t unread(int64_t slot) const;

  // The passes of the parts that read these portions; see ContextCache.
  std::vector<model::PassPlan> plan(std::span<const Portion> portions, int64_t padding);
  // Launches them: [rows, Vi] the delta's logits.
  LazyLogits logits(std::span<const model::DevicePlan> passes, int64_t rows);
  void advance(std::span<const Portion> portions);
  bool capturable() const;
  int64_t capacity() const { return caches_.empty() ? 0 : caches_[0].capacity(); }

  // [K, Vi] the delta's logits: the parts' [K, Vi] times their weights. One sum before the map, since a variant of the
  // map takes maxima of what the whole delta says.
  torch::Tensor combined(std::vector<torch::Tensor> of_parts) const;
  // [K, V] what a contrast adds: of its logits and the base's of the same rows.
  static torch::Tensor contrast(const torch::Tensor& base, const torch::Tensor& logits) {
    return base.log_softmax(1).sub_(logits.log_softmax(1));
  }
  // The term of these combined logits.
  LogitTerm term(LazyLogits logits, std::vector<int64_t> rows, std::vector<float> alphas) const;

  // Throws BadData naming the first id that the parts have no embedding for.
  void check_ids(std::span<const int32_t> ids) const;

 private:
  void start_caches();
  torch::Tensor reach(const LazyLogits& logits) const;
  bool single_model() const { return delta_.parts.size() == 1 && delta_.parts[0].weight == 1.0f; }

  Delta delta_;
  std::shared_ptr<const text::Tokenizer> base_tokenizer_;
  FusionSettings settings_;
  torch::Device device_;
  int64_t vocabulary_;     // of the base
  bool narrower_ = false;  // same vocabulary, but fewer tokens than the base's
  torch::Tensor map_;      // [base vocabulary] int32; undefined: same vocabulary
  MapVariant variant_;
  MapIndex index_;
  std::shared_ptr<model::KeptMemory> scaled_memory_ = std::make_shared<model::KeptMemory>();
  mutable std::shared_ptr<const cpu::PackedMatrix> measured_;  // what reach_ is of
  mutable torch::Tensor reach_;
  std::vector<ContextCache> caches_;                   // one a part; made at the first use
  std::vector<std::optional<DeltaContext>> contexts_;  // [slots], other vocabulary only
};

}  // namespace cmc::fusion
