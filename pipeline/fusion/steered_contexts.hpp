#pragma once
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "pipeline/fusion/delta_stream.hpp"
#include "pipeline/fusion/logit_source.hpp"
#include "pipeline/fusion/step_plan.hpp"

namespace cmc::fusion {

// The contexts of a source's slots, as the base and each row's deltas read them: what the host knows of them, and what
// of them a step reads. Prompts are read in portions beside rows that decode. StepRunner carries the steps out.
class SteeredContexts {
 public:
  SteeredContexts(Base base, std::vector<Delta> deltas, const FusionSettings& settings);

  const Base& base() const { return base_; }
  const std::vector<DeltaStream>& deltas() const { return deltas_; }
  std::vector<DeltaStream>& deltas() { return deltas_; }
  int64_t vocabulary() const { return base_.model->config().vocabulary; }

  // See LogitSource.
  void open(int64_t slot, const Row& row);
  void close(int64_t slot);
  // Throws BadData where tokens or steering do not fit the models.
  void check(const std::vector<BaseToken>& tokens, const Steering& steering) const;

  // What a step over these open slots reads: of prompts a portion, of other contexts everything. `padded`: rows of a
  // step that decodes are filled up to bucket_of() them.
  StepPlan plan(std::span<const int64_t> slots, bool padded);
  // The part of deltas that read what the host encodes: waits for the tokens of earlier steps.
  void plan_encoded(StepPlan& plan);
  // The step has been launched.
  void advance(const StepPlan& plan);
  // What comes after what was read, to be read next: a known token, or row `row` of what a step chose, which the
  // device knows as the last token chosen for the slot.
  void append(int64_t slot, BaseToken token);
  void append(int64_t slot, std::shared_ptr<Chosen> chosen, size_t row);

  // [rows, V] of the base's states wanted; [0, V] where none is.
  torch::Tensor base_logits(const model::DevicePlan& plan, int64_t rows) { return cache_.logits(plan, rows).whole(); }
  torch::Tensor no_logits() const { return cache_.no_logits(); }
  // Whether passes do the same work for plans of equal shape, as long as capacities stay.
  bool capturable() const;
  std::vector<int64_t> capacities() const;

 private:
  struct Sequence {
    Steering steering;  // without terms of alpha 0
    bool prompt_read = false;
    std::vector<std::pair<std::shared_ptr<Chosen>, size_t>> untold;  // tokens deltas that read text are yet to be told
  };
  // What a step reads of a context.
  struct Share {
    int64_t base = 0;
    std::vector<int64_t> deltas;  // [terms]
    bool whole = false;
  };
  Share share_of(int64_t slot) const;
  Sequence& open_sequence(int64_t slot, const char* contract);
  std::vector<DeltaToken> prompt_of(const Row& row, size_t delta) const;
  // Tells a token to the deltas that need not wait for the host. Whether others are to be told later.
  bool tell(const Sequence& sequence, const std::function<void(DeltaStream&)>& append);
  DeltaStream& delta_of(const Steering::Term& term) { return deltas_[static_cast<size_t>(term.delta)]; }
  const DeltaStream& delta_of(const Steering::Term& term) const { return deltas_[static_cast<size_t>(term.delta)]; }
  void settle(std::span<const int64_t> slots);
  void plan_deltas(StepPlan& plan, bool encoded);

  Base base_;
  FusionSettings settings_;
  int64_t chunk_;
  ContextCache cache_;
  std::vector<DeltaStream> deltas_;
  std::vector<std::optional<Sequence>> sequences_;  // [slots]; empty: free
};

}  // namespace cmc::fusion
