#pragma once
#include <memory>
#include <string>

#include "pipeline/text/tokenizer.hpp"

namespace cmc::text {

// Text of a growing id sequence, in amortised O(1) tokens a push. Special tokens are skipped. The concatenation of all
// pushes and of finish() equals decode(all ids, skip); no push ever ends inside a character.
class IncrementalDecoder {
 public:
  explicit IncrementalDecoder(std::shared_ptr<const Tokenizer> tokenizer);
  std::string push(int32_t id);                      // newly completed text; may be empty
  std::string finish();                              // what is left; an incomplete character gives U+FFFD
  const std::string& text() const { return text_; }  // all text pushed out so far

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::unique_ptr<TextStream> stream_;
  std::string text_;
};

}  // namespace cmc::text
