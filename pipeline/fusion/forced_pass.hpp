#pragma once
#include <span>
#include <vector>

#include "pipeline/fusion/delta_stream.hpp"

namespace cmc::fusion {

// A sequence to be forced once, for all requests that hold it.
struct SharedSequence {
  struct Request {
    int64_t number = 0;  // among the sequences given to LogitSource::force
    int64_t first = 1;
    Steering steering;
  };
  std::vector<BaseToken> tokens;
  int64_t first = 1;  // smallest of the requests'; of all of them where a delta has a prompt of its own
  std::vector<ForcedSequence::DeltaText> deltas;
  std::vector<Request> requests;
};

// Sequences that are equal, for the base and for the deltas, joined, in the order of their first appearance.
std::vector<SharedSequence> shared_sequences(std::span<const ForcedSequence> sequences);

// The settings with forced_tokens and forced_logits chosen where they are 0. On a CPU 1,024 tokens, whose states its
// caches hold, and 2^24 logits; on CUDA model::pass_tokens_on and 2^27.
FusionSettings with_forced_limits(FusionSettings settings, const model::DecoderModel& base);

// Teacher forcing of one packed batch (LogitSource::force): the last states of all models at the predicted positions
// are computed first, then the output layers in chunks.
class ForcedPass {
 public:
  ForcedPass(const Base& base, const std::vector<DeltaStream>& deltas, const FusionSettings& settings);

  void run(std::span<const SharedSequence> sequences, const LogitSource::TakeForced& take) const;

 private:
  struct Share;  // one delta's states
  struct Chunk;  // logits of some positions
  // What a delta of the base's vocabulary reads of a sequence.
  struct Reading {
    std::vector<BaseToken> tokens;
    int64_t first = 1;
  };
  Reading reading_of(const SharedSequence& sequence, int64_t delta) const;
  Share same_vocabulary(int64_t delta, std::span<const SharedSequence> sequences) const;
  Share other_vocabulary(int64_t delta, std::span<const SharedSequence> sequences) const;
  Chunk logits_of(const torch::Tensor& base_states, const std::vector<Share>& shares, int64_t begin, int64_t end) const;
  void take_chunk(const Chunk& chunk, std::span<const SharedSequence> sequences,
                  std::span<const ForcedPosition> positions, const LogitSource::TakeForced& take) const;

  const Base& base_;
  const std::vector<DeltaStream>& deltas_;
  const FusionSettings& settings_;
};

}  // namespace cmc::fusion
