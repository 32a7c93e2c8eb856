#pragma once
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/text/tokenizer.hpp"

namespace cmc::fusion {

// A tokenizer small enough to check by hand: its pieces, longest match first. Token 0 is a special begin token.
class CharacterTokenizer final : public text::Tokenizer {
 public:
  enum class Begin { added, absent };

  CharacterTokenizer(std::vector<std::string> pieces, Begin begin) : begin_(begin) {
    vocabulary_.push_back({"<s>", "", text::TokenKind::special});
    for (const auto& piece : pieces) vocabulary_.push_back({piece, piece, text::TokenKind::text});
    special_.begin = 0;
  }

  std::vector<int32_t> encode(std::string_view text, text::AddedTokens added) const override {
    std::vector<int32_t> ids;
    if (added == text::AddedTokens::as_model && begin_ == Begin::added) ids.push_back(0);
    while (!text.empty()) {
      const int32_t id = longest_match(text);
      ids.push_back(id);
      text.remove_prefix(vocabulary_[static_cast<size_t>(id)].bytes.size());
    }
    return ids;
  }

  std::string decode(std::span<const int32_t> ids, SpecialText) const override {
    std::string text;
    for (const int32_t id : ids) text += vocabulary_.at(static_cast<size_t>(id)).bytes;
    return text;
  }

  text::TokenizerKind kind() const override { return text::TokenizerKind::sentencepiece; }
  const std::vector<text::VocabularyEntry>& vocabulary() const override { return vocabulary_; }
  const text::SpecialTokens& special() const override { return special_; }

 private:
  int32_t longest_match(std::string_view text) const {
    size_t best = 0;
    for (size_t id = 1; id < vocabulary_.size(); ++id) {
      const auto& bytes = vocabulary_[id].bytes;
      if (text.starts_with(bytes) && (best == 0 || bytes.size() > vocabulary_[best].bytes.size())) best = id;
    }
    if (best == 0) throw std::runtime_error("character without a piece in the test");
    return static_cast<int32_t>(best);
  }

  Begin begin_;
  std::vector<text::VocabularyEntry> vocabulary_;
  text::SpecialTokens special_;
};

}  // namespace cmc::fusion
