#include <gtest/gtest.h>

#include "pipeline/core/error.hpp"
#include "pipeline/train/example.hpp"

namespace cmc::train {
namespace {

// One token per byte, a begin token 1 where the model adds it, end token 2.
class ByteTokenizer : public text::Tokenizer {
 public:
  explicit ByteTokenizer(int32_t end) { special_.end = end; }
  std::vector<int32_t> encode(std::string_view text, text::AddedTokens added) const override {
    std::vector<int32_t> ids;
    if (added == text::AddedTokens::as_model) ids.push_back(1);
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  std::string decode(std::span<const int32_t>, SpecialText) const override { return {}; }
  text::TokenizerKind kind() const override { return text::TokenizerKind::byte_level_bpe; }
  const std::vector<text::VocabularyEntry>& vocabulary() const override { return vocabulary_; }
  const text::SpecialTokens& special() const override { return special_; }

 private:
  std::vector<text::VocabularyEntry> vocabulary_;
  text::SpecialTokens special_;
};

constexpr int32_t no = ignored_label;

TEST(EncodeInstruction, TrainsOnResponseAndEndToken) {
  const ByteTokenizer tokenizer(2);
  const Example example = encode_instruction(tokenizer, "ab", "xyz");
  EXPECT_EQ(example.tokens, (std::vector<int32_t>{1, 'a', 'b', 'x', 'y', 'z', 2}));
  EXPECT_EQ(example.labels, (std::vector<int32_t>{no, no, no, 'x', 'y', 'z', 2}));
}

TEST(EncodeInstruction, CutsSourceAndTargetApart) {
  const ByteTokenizer tokenizer(2);
  const Example example = encode_instruction(tokenizer, "abc", "xyz", {.source_tokens = 2, .target_tokens = 3});
  EXPECT_EQ(example.tokens, (std::vector<int32_t>{1, 'a', 'x', 'y', 'z'}));
  EXPECT_EQ(example.labels, (std::vector<int32_t>{no, no, 'x', 'y', 'z'}));
}

TEST(EncodeAnswer, TrainsOnAnswerAndEndToken) {
  const ByteTokenizer tokenizer(2);
  const Example example = encode_answer(tokenizer, "[q]", "xy");
  EXPECT_EQ(example.tokens, (std::vector<int32_t>{1, '[', 'q', ']', 'x', 'y', 2}));
  EXPECT_EQ(example.labels, (std::vector<int32_t>{no, no, no, no, 'x', 'y', 2}));
}

TEST(EncodeAnswer, CutsAtTheLimitWithoutAnEndToken) {
  const ByteTokenizer tokenizer(2);
  EXPECT_EQ(encode_answer(tokenizer, "[q]", "xy", 6).tokens, (std::vector<int32_t>{1, '[', 'q', ']', 'x', 'y'}));
  EXPECT_EQ(encode_answer(tokenizer, "[q]", "xy", 5).labels, (std::vector<int32_t>{no, no, no, no, 'x'}));
  EXPECT_EQ(label_count(encode_answer(tokenizer, "[q]", "xy", 3)), 0);
}

TEST(EncodeAnswer, NeedsAnEndToken) {
  EXPECT_THROW(encode_answer(ByteTokenizer(-1), "[q]", "x"), BadData);
  EXPECT_THROW(encode_instruction(ByteTokenizer(-1), "q", "x"), BadData);
}

}  // namespace
}  // namespace cmc::train
