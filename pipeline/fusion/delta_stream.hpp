#pragma once
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "pipeline/fusion/context_cache.hpp"
#include "pipeline/fusion/delta_context.hpp"
#include "pipeline/fusion/fused_source.hpp"

namespace cmc::fusion {

// One delta of a source: what it reads in each slot, and its share of the fused logits.
class DeltaStream {
 public:
  // Throws BadData where parts, tokenizer and map disagree.
  DeltaStream(Delta delta, const Base& base, const FusionSettings& settings);

  bool same_vocabulary() const { return delta_.map == nullptr; }
  const Delta& delta() const { return delta_; }

  void open(int64_t slot, const Row& row);
  void append(int64_t slot, BaseToken token);
  void close(int64_t slot);

  // Encodes again what has become stale in these slots of another vocabulary, several at once.
  void settle(std::span<const int64_t> slots);
  // Tokens that a pass has to read of the slot's context; 0: the context is empty and gives no shift.
  int64_t unread(int64_t slot) const;

  // So many unread tokens of a slot, and the row of the fused logits that it stands for: -1 unless that is all.
  struct Use {
    Portion portion;
    int64_t row = 0;
    float alpha = 0.0f;
  };
  // Lets each part read these portions and adds the term of the rows.
  void read(std::span<const Use> uses, std::vector<LogitTerm>& terms);

  // [K, Vi] the delta's logits: the parts' [K, Vi] times their weights. One sum before the map, since a variant of the
  // map takes maxima of what the whole delta says.
  torch::Tensor combined(std::vector<torch::Tensor> of_parts) const;
  // The term of these combined logits.
  LogitTerm term(torch::Tensor logits, std::vector<int64_t> rows, std::vector<float> alphas) const;

  // Throws BadData naming the first id that the parts have no embedding for.
  void check_ids(std::span<const int32_t> ids) const;

 private:
  void start_caches();
  bool single_model() const { return delta_.parts.size() == 1 && delta_.parts[0].weight == 1.0f; }

  Delta delta_;
  std::shared_ptr<const text::Tokenizer> base_tokenizer_;
  FusionSettings settings_;
  torch::Device device_;
  torch::Tensor map_;  // [base vocabulary] int32; undefined: same vocabulary
  MapVariant variant_;
  MapIndex index_;
  std::vector<ContextCache> caches_;                   // one a part; made at the first use
  std::vector<std::optional<DeltaContext>> contexts_;  // [slots], other vocabulary only
};

}  // namespace cmc::fusion
