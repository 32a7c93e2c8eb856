#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "pipeline/core/ids.hpp"
#include "pipeline/text/incremental_decoder.hpp"

namespace cmc::decode {

// The text of an answer while it grows, and the watch for stop strings in it.
class AnswerText {
 public:
  AnswerText(std::shared_ptr<const text::Tokenizer> tokenizer, std::span<const std::string> stop_strings);

  // True when the text now holds a stop string; nothing may be pushed after that.
  bool push(BaseToken token);
  // No more tokens come. True when what was held back completes a stop string.
  bool finish();

  // After push() or finish(): all up to the first stop string, without tokens that reach into it.
  std::string text() const;
  std::vector<BaseToken> tokens() const;

 private:
  bool found_in(size_t from);

  text::IncrementalDecoder decoder_;
  std::span<const std::string> stop_strings_;
  size_t longest_stop_ = 0;
  std::string text_;
  std::vector<BaseToken> tokens_;
  std::vector<size_t> ends_;            // [tokens] length of the text once each was pushed
  size_t stop_at_ = std::string::npos;  // where the first stop string begins
};

}  // namespace cmc::decode
