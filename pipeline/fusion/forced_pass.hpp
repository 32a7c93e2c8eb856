#pragma once
#include <span>
#include <vector>

#include "pipeline/fusion/delta_stream.hpp"

namespace cmc::fusion {

// Teacher forcing of one packed batch (LogitSource::force): the last states of all models at the predicted positions
// are computed first, then the output layers in chunks.
class ForcedPass {
 public:
  ForcedPass(const Base& base, const std::vector<DeltaStream>& deltas, const FusionSettings& settings);

  // `number`: of the first sequence, for the positions handed to `take`.
  void run(std::span<const ForcedSequence> sequences, int64_t number, const LogitSource::TakeForced& take) const;

 private:
  struct Share;  // one delta's states
  Share same_vocabulary(const DeltaStream& delta, std::span<const ForcedSequence> sequences, int64_t index) const;
  Share other_vocabulary(const DeltaStream& delta, std::span<const ForcedSequence> sequences, int64_t index) const;
  void take_chunks(const torch::Tensor& base_states, const std::vector<Share>& shares,
                   std::span<const ForcedPosition> positions, const LogitSource::TakeForced& take) const;

  const Base& base_;
  const std::vector<DeltaStream>& deltas_;
  const FusionSettings& settings_;
};

}  // namespace cmc::fusion
