#pragma once
#include <gtest/gtest.h>

#include <span>
#include <vector>

#include "pipeline/fusion/logit_source.hpp"

namespace cmc::fusion {

// Log-probabilities of each predicted token, sequence after sequence; the positions of one come in order.
inline std::vector<std::vector<float>> forced(LogitSource& source, const std::vector<ForcedSequence>& sequences) {
  std::vector<std::vector<float>> log_probs(sequences.size());
  source.force(sequences, [&](const FusedLogits& logits, std::span<const ForcedPosition> positions) {
    std::vector<BaseToken> tokens;
    for (const auto& at : positions)
      tokens.push_back(sequences[static_cast<size_t>(at.sequence)].tokens[static_cast<size_t>(at.token)]);
    const auto values = logits.log_prob_of(tokens);
    for (size_t i = 0; i < positions.size(); ++i) {
      auto& of_sequence = log_probs[static_cast<size_t>(positions[i].sequence)];
      EXPECT_EQ(positions[i].token,
                sequences[static_cast<size_t>(positions[i].sequence)].first + static_cast<int64_t>(of_sequence.size()));
      of_sequence.push_back(values.const_data_ptr<float>()[i]);
    }
  });
  return log_probs;
}

}  // namespace cmc::fusion
