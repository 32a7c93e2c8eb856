#include "pipeline/text/tokenizer.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/core/utf8.hpp"
#include "pipeline/text/byte_level.hpp"
#include "pipeline/text/decoder.hpp"
#include "pipeline/text/incremental_decoder.hpp"

namespace cmc::text {
namespace {

// One token a byte, without a stream of its own.
class Bytes : public Tokenizer {
 public:
  Bytes() {
    for (int byte = 0; byte < 256; ++byte) {
      const std::string text(1, static_cast<char>(byte));
      vocabulary_.push_back({text, text, TokenKind::byte});
    }
  }
  std::vector<int32_t> encode(std::string_view text, AddedTokens) const override {
    std::vector<int32_t> ids;
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  std::string decode(std::span<const int32_t> ids, SpecialText) const override {
    std::string bytes;
    for (const int32_t id : ids) bytes += static_cast<char>(id);
    return replace_invalid_utf8(bytes);
  }
  TokenizerKind kind() const override { return TokenizerKind::byte_level_bpe; }
  const std::vector<VocabularyEntry>& vocabulary() const override { return vocabulary_; }
  const SpecialTokens& special() const override { return special_; }

 private:
  std::vector<VocabularyEntry> vocabulary_;
  SpecialTokens special_;
};

TEST(IncrementalDecoder, WorksForATokenizerThatOnlyDecodes) {
  const auto tokenizer = std::make_shared<Bytes>();
  const std::string text = "a\u00E9\u4E00\U0001F600\xF0\x9F";  // the last character is cut
  IncrementalDecoder decoder(tokenizer);
  std::string pushed;
  for (const int32_t id : tokenizer->encode(text, AddedTokens::none)) {
    const std::string fresh = decoder.push(id);
    EXPECT_TRUE(is_valid_utf8(fresh));
    EXPECT_EQ(fresh.find("\uFFFD"), std::string::npos) << "no half characters";
    pushed += fresh;
  }
  pushed += decoder.finish();
  EXPECT_EQ(pushed, "a\u00E9\u4E00\U0001F600\uFFFD");
  EXPECT_EQ(decoder.text(), pushed);
}

class LoadedTokenizer : public testing::Test {
 protected:
  void SetUp() override {
    Json vocabulary = Json::object();
    for (int byte = 0; byte < 256; ++byte) {
      std::string piece;
      append_byte_level(piece, std::string(1, static_cast<char>(byte)));
      vocabulary[piece] = byte;
    }
    vocabulary["Ġa"] = 258;  // 256 and 257 are a hole
    const Json file = {
        {"added_tokens", {{{"id", 300}, {"content", "<end>"}, {"special", true}}}},  // gets the next free id
        {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
        {"decoder", {{"type", "ByteLevel"}}},
        {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", Json::array({Json::array({"Ġ", "a"})})}}}};
    publish_file(path, file.dump());
    tokenizer = load_tokenizer(path);
  }
  void TearDown() override { std::filesystem::remove(path); }

  std::filesystem::path path = testing::TempDir() + "/cmc_tokenizer_" + std::to_string(::getpid()) + ".json";
  std::shared_ptr<const Tokenizer> tokenizer;
};

TEST_F(LoadedTokenizer, DescribesEveryId) {
  ASSERT_EQ(tokenizer->size(), 259);
  const auto& entries = tokenizer->vocabulary();
  EXPECT_EQ(entries[258].bytes, " a");
  EXPECT_EQ(entries['A'].kind, TokenKind::text);
  EXPECT_EQ(entries[0xE2].kind, TokenKind::partial);
  EXPECT_EQ(entries[256].kind, TokenKind::unused);
  EXPECT_EQ(entries[257].kind, TokenKind::special);
  EXPECT_EQ(entries[257].bytes, "");
}

TEST_F(LoadedTokenizer, IdsWithoutATokenAreNoText) {
  EXPECT_THROW(tokenizer->decode(std::vector<int32_t>{-1}, SpecialText::keep), Internal);
  EXPECT_THROW(IncrementalDecoder(tokenizer).push(-1), Internal);
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>{301, 65, 1 << 30}, SpecialText::keep), "A") << "rows of the model";
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>{256, 65, 257}, SpecialText::skip), "A") << "a hole is no text";
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>{65, 257}, SpecialText::keep), "A<end>");
}

TEST_F(LoadedTokenizer, InvalidBytesAreReplacedAndNothingIsLost) {
  std::string everything;
  for (int byte = 255; byte >= 0; --byte) everything += static_cast<char>(byte);
  const auto ids = tokenizer->encode(everything, AddedTokens::as_model);
  EXPECT_EQ(tokenizer->decode(ids, SpecialText::keep), replace_invalid_utf8(everything));
}

TEST_F(LoadedTokenizer, ThreadsShareIt) {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += " a word <end> \u00E9" + std::to_string(i);
  const auto expected = tokenizer->encode(text, AddedTokens::none);
  std::vector<std::vector<int32_t>> made(4);
  std::vector<std::thread> threads;
  for (auto& ids : made) threads.emplace_back([&] { ids = tokenizer->encode(text, AddedTokens::none); });
  for (auto& thread : threads) thread.join();
  for (const auto& ids : made) EXPECT_EQ(ids, expected);
  EXPECT_EQ(tokenizer->decode(expected, SpecialText::keep), text);
}

TEST(Decoder, HoldsBackOnlyWhatCanStillChange) {
  const auto steps = read_decoder({{"type", "ByteFallback"}}, "test");
  const auto step = steps.at(0)();
  std::vector<std::string> out;
  for (const char* token : {"a", "<0xC3>", "<0xA9>"}) step->push(token, out);
  EXPECT_EQ(out, std::vector<std::string>{"a"}) << "a run of bytes is decided as a whole";
  step->push("b", out);
  EXPECT_EQ(out, (std::vector<std::string>{"a", "\u00E9", "b"}));
  step->push("<0xC3>", out);
  step->finish(out);
  EXPECT_EQ(out.back(), "\uFFFD");
}

}  // namespace
}  // namespace cmc::text
