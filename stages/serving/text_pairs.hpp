#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/text/tokenizer.hpp"

namespace cmc::stages {

// A sequence whose last tokens are scored.
struct TextPair {
  std::vector<int32_t> context;       // not empty
  std::vector<int32_t> continuation;  // what is scored; not empty
  int64_t cut = 0;                    // tokens of the context that were too many, taken from its left
};

// Texts as lm-evaluation-harness 0.4.13 encodes them for a transformers model (its HFLM and TemplateLM), so that a
// benchmark measures the same of a model here as there.
class TextPairs {
 public:
  // `longest`: tokens that the model reads at once.
  TextPairs(std::shared_ptr<const text::Tokenizer> tokenizer, int64_t longest);

  int64_t longest() const { return longest_; }
  int32_t prefix() const { return prefix_; }  // stands before a text of nothing: begin, else end token; -1: neither
  // With what the tokenizer adds; a text that writes the prefix token itself gets no second one.
  std::vector<int32_t> encode(std::string_view text) const;
  // White space at the context's end moves to the continuation, whose tokens are those of the whole text that follow
  // the context's. Throws BadData, at `where`, for a continuation that has no tokens, or more than the model reads.
  TextPair pair(std::string_view context, std::string_view continuation, const std::string& where) const;
  // Every token of the text once, each after as many before it as the model reads, the prefix token before the first.
  // Throws BadData where there is no such token.
  std::vector<TextPair> windows(std::string_view text, const std::string& where) const;
  // The context that leaves room for `new_tokens`. Throws BadData where they leave none.
  TextPair prompt(std::string_view context, int64_t new_tokens, const std::string& where) const;

 private:
  int32_t expect_prefix(const std::string& where) const;

  std::shared_ptr<const text::Tokenizer> tokenizer_;
  int64_t longest_;
  int32_t prefix_;
  std::string prefix_text_;
};

}  // namespace cmc::stages
