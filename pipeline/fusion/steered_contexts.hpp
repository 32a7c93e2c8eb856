#pragma once
#include <optional>
#include <span>
#include <vector>

#include "pipeline/fusion/delta_stream.hpp"
#include "pipeline/fusion/logit_source.hpp"

namespace cmc::fusion {

// The contexts of a source's slots, as the base and each row's delta read them. Prompts are read in portions beside
// rows that decode.
class SteeredContexts {
 public:
  SteeredContexts(Base base, std::vector<Delta> deltas, const FusionSettings& settings);

  const Base& base() const { return base_; }
  const std::vector<DeltaStream>& deltas() const { return deltas_; }
  int64_t vocabulary() const { return base_.model->config().vocabulary; }

  // See LogitSource.
  void open(int64_t slot, const Row& row);
  void close(int64_t slot);
  // Throws BadData where tokens or steering do not fit the models.
  void check(const std::vector<BaseToken>& tokens, const Steering& steering) const;

  struct Read {
    FusedLogits logits;       // of the rows that are read whole, in the order of their slots
    std::vector<bool> whole;  // [slots asked for]
  };
  // Lets the models read what is new in these open slots: of a prompt a portion, of others everything.
  Read read(std::span<const int64_t> slots);
  // The token after what was read; it is read next.
  void append(int64_t slot, BaseToken token);

 private:
  struct Sequence {
    Steering steering;
    bool prompt_read = false;
    std::vector<BaseToken> unsettled;  // tokens that a delta of another vocabulary has not been told yet
  };
  // Passes that are left of a context, with this one, and what this one reads.
  struct Share {
    int64_t base = 0, delta = 0;
    bool whole = false;
  };
  Share share_of(int64_t slot) const;
  Sequence& open_sequence(int64_t slot, const char* contract);
  DeltaStream* delta_of(const Sequence& sequence);
  void settle(std::span<const int64_t> slots);

  Base base_;
  FusionSettings settings_;
  int64_t chunk_;
  ContextCache cache_;
  std::vector<DeltaStream> deltas_;
  std::vector<std::optional<Sequence>> sequences_;  // [slots]; empty: free
};

}  // namespace cmc::fusion
