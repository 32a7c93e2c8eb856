#pragma once
#include <cstdint>
#include <vector>

#include "pipeline/fusion/logit_source.hpp"
#include "pipeline/text/tokenizer.hpp"

namespace cmc::fusion {

// What a delta of another vocabulary reads before a position of a known sequence (protocol, "Scoring in another
// vocabulary"). The tokenizers outlive it.
class DeltaReader {
 public:
  // `first`: of the sequence's predicted tokens, where the text after a prompt of the delta's own starts.
  DeltaReader(const std::vector<BaseToken>& tokens, int64_t first, const ForcedSequence::DeltaText& text,
              const text::Tokenizer& base, const text::Tokenizer& delta);

  std::vector<int32_t> before(int64_t position) const;

 private:
  const text::Tokenizer &base_, &delta_;
  std::vector<int32_t> ids_, prompt_;
  int64_t start_;
};

}  // namespace cmc::fusion
