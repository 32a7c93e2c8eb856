#pragma once
#include <memory>
#include <span>
#include <vector>

#include "pipeline/core/ids.hpp"
#include "pipeline/text/tokenizer.hpp"
#include "pipeline/token_map/token_map.hpp"

namespace cmc::fusion {

// What a delta of another vocabulary reads while the base generates (protocol, "Decoding"): a base token with an exact
// match appends its delta id; any other makes the whole generated text be decoded and encoded again after the prompt.
class DeltaContext {
 public:
  DeltaContext(std::shared_ptr<const text::Tokenizer> base, std::shared_ptr<const text::Tokenizer> delta,
               std::shared_ptr<const token_map::TokenMap> map, std::vector<DeltaToken> prompt);

  void append(BaseToken token);
  // Prompt and generated text in the delta's ids. Encodes again here, when asked, not at append.
  std::span<const int32_t> ids();

 private:
  void encode_again();

  std::shared_ptr<const text::Tokenizer> base_, delta_;
  std::shared_ptr<const token_map::TokenMap> map_;
  size_t prompt_size_;
  std::vector<int32_t> generated_;  // base ids
  std::vector<int32_t> ids_;        // delta ids, the prompt first
  bool stale_ = false;              // an inexact token has come since the last encoding
};

}  // namespace cmc::fusion
