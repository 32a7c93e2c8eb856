#include "pipeline/text/json_tokenizer.hpp"

#include <unordered_map>
#include <unordered_set>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"
#include "pipeline/text/added_tokens.hpp"
#include "pipeline/text/byte_level.hpp"
#include "pipeline/text/decoder.hpp"
#include "pipeline/text/normalizer.hpp"
#include "pipeline/text/pre_tokenizer.hpp"

namespace cmc::text {
namespace {

constexpr const char* metaspace = "\u2581";

bool is_byte_piece(const std::string& piece) {
  const auto hexadecimal = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); };
  return piece.size() == 6 && piece.starts_with("<0x") && piece[5] == '>' && hexadecimal(piece[3]) &&
         hexadecimal(piece[4]);
}

std::string with_spaces(const std::string& piece) {
  std::string text = piece;
  for (size_t at = text.find(metaspace); at != std::string::npos; at = text.find(metaspace, at))
    text.replace(at, 3, " ");
  return text;
}

class JsonTokenizer : public Tokenizer {
 public:
  explicit JsonTokenizer(TokenizerParts parts);

  std::vector<int32_t> encode(std::string_view text, AddedTokens added) const override;
  std::string decode(std::span<const int32_t> ids, SpecialText special) const override;
  std::unique_ptr<TextStream> stream(SpecialText special) const override;
  TokenizerKind kind() const override { return kind_; }
  const std::vector<VocabularyEntry>& vocabulary() const override { return vocabulary_; }
  const SpecialTokens& special() const override { return parts_.special; }
  const Decoder& decoder() const { return decoder_; }
  // What the decoder is given for a token: the piece, or its normalised form for an added token matched in that form.
  const std::string& piece_to_decode(int32_t id) const {
    const auto form = normalized_forms_.find(id);
    return form == normalized_forms_.end() ? vocabulary_[static_cast<size_t>(id)].piece : form->second;
  }
  // Skipping special tokens looks at that form, too.
  bool is_skipped(int32_t id) const { return skipped_.contains(id); }

 private:
  void place_added();
  VocabularyEntry describe(const std::string& piece) const;
  void encode_section(std::string_view text, bool at_start, std::vector<int32_t>& ids) const;

  TokenizerParts parts_;
  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  Decoder decoder_;
  AddedTokenMatcher given_, normalized_;                       // added tokens matched before and after normalisation
  std::unordered_map<int32_t, std::string> normalized_forms_;  // of added tokens, where they differ from the piece
  std::unordered_set<int32_t> skipped_;                        // when decoding without special tokens
  TokenizerKind kind_;
  std::vector<VocabularyEntry> vocabulary_;
};

class DecoderStream : public TextStream {
 public:
  DecoderStream(const JsonTokenizer& tokenizer, SpecialText special) : tokenizer_(tokenizer), special_(special) {
    for (const auto& make : tokenizer.decoder()) steps_.push_back(make());
  }

  std::string push(int32_t id) override {
    expect(id >= 0, "a token id to decode is not negative");
    if (id >= tokenizer_.size()) return {};  // a row of the model that has no token: no text
    if (tokenizer_.vocabulary()[static_cast<size_t>(id)].kind == TokenKind::unused) return {};
    if (special_ == SpecialText::skip && tokenizer_.is_skipped(id)) return {};
    return run(0, {tokenizer_.piece_to_decode(id)});
  }

  std::string finish() override {
    std::string rest;
    for (size_t i = 0; i < steps_.size(); ++i) {
      std::vector<std::string> out;
      steps_[i]->finish(out);
      rest += run(i + 1, std::move(out));
    }
    return rest;
  }

 private:
  std::string run(size_t from, std::vector<std::string> tokens) {
    for (size_t i = from; i < steps_.size(); ++i) {
      std::vector<std::string> out;
      for (auto& token : tokens) steps_[i]->push(std::move(token), out);
      tokens = std::move(out);
    }
    std::string text;
    for (const auto& token : tokens) text += token;
    return text;
  }

  const JsonTokenizer& tokenizer_;
  SpecialText special_;
  std::vector<std::unique_ptr<DecoderStep>> steps_;
};

JsonTokenizer::JsonTokenizer(TokenizerParts parts) : parts_(std::move(parts)) {
  normalizer_ = read_normalizer(parts_.normalizer, parts_.name + ": normalizer");
  pre_tokenizer_ = read_pre_tokenizer(parts_.pre_tokenizer, parts_.name + ": pre_tokenizer");
  decoder_ = read_decoder(parts_.decoder, parts_.name + ": decoder");
  kind_ = uses(parts_.pre_tokenizer, "ByteLevel") || uses(parts_.normalizer, "ByteLevel") ||
                  uses(parts_.decoder, "ByteLevel")
              ? TokenizerKind::byte_level_bpe
              : TokenizerKind::sentencepiece;
  vocabulary_.reserve(parts_.model->pieces().size());
  for (const auto& piece : parts_.model->pieces()) vocabulary_.push_back(describe(piece));
  place_added();
}

VocabularyEntry JsonTokenizer::describe(const std::string& piece) const {
  if (piece.empty()) return {};
  if (kind_ == TokenizerKind::byte_level_bpe) {
    const auto bytes = bytes_of_byte_level(piece);
    if (!bytes) return {piece, piece, TokenKind::text};
    return {piece, *bytes, is_valid_utf8(*bytes) ? TokenKind::text : TokenKind::partial};
  }
  if (parts_.model->has_byte_fallback() && is_byte_piece(piece))
    return {piece, std::string(1, static_cast<char>(std::stoi(piece.substr(3, 2), nullptr, 16))), TokenKind::byte};
  return {piece, with_spaces(piece), TokenKind::text};
}

void JsonTokenizer::place_added() {
  for (const auto& [id, token] : parts_.added.tokens()) {
    const auto at = static_cast<size_t>(id);
    if (at >= vocabulary_.size()) vocabulary_.resize(at + 1);
    std::string normal = token.content;
    if (parts_.added.was_normalized(id)) normalizer_(normal);
    const std::string& written = token.normalized ? normal : token.content;  // in the text
    const bool special = parts_.added.is_special(token.content);
    vocabulary_[at] = special ? VocabularyEntry{token.content, "", TokenKind::special} : describe(normal);
    vocabulary_[at].piece = token.content;
    if (normal != token.content) normalized_forms_[id] = normal;
    if (special && parts_.added.is_special(normal)) skipped_.insert(id);
    const auto matching =
        parts_.split_special && special ? AddedTokenMatcher::Matching::text : AddedTokenMatcher::Matching::token;
    if (!written.empty()) (token.normalized ? normalized_ : given_).add(token, id, written, matching);
  }
}

void JsonTokenizer::encode_section(std::string_view text, bool at_start, std::vector<int32_t>& ids) const {
  std::string normal(text);
  normalizer_(normal);
  for (const auto& section : normalized_.split(normal)) {
    if (section.id >= 0) {
      ids.push_back(section.id);
      continue;
    }
    Words words;
    words.text = std::string(section.text);
    words.spans = {{0, words.text.size()}};
    words.at_start = at_start && section.text.data() == normal.data();
    pre_tokenizer_(words);
    for (const auto& [begin, end] : words.spans)
      parts_.model->encode(std::string_view(words.text).substr(begin, end - begin), ids);
  }
}

std::vector<int32_t> JsonTokenizer::encode(std::string_view text, AddedTokens added) const {
  std::string replaced;
  if (!is_valid_utf8(text)) text = replaced = replace_invalid_utf8(text);
  std::vector<int32_t> ids;
  if (added == AddedTokens::as_model) ids = parts_.around.before;
  for (const auto& section : given_.split(text)) {
    if (section.id >= 0)
      ids.push_back(section.id);
    else
      encode_section(section.text, section.text.data() == text.data(), ids);
  }
  if (added == AddedTokens::as_model) ids.insert(ids.end(), parts_.around.after.begin(), parts_.around.after.end());
  return ids;
}

std::unique_ptr<TextStream> JsonTokenizer::stream(SpecialText special) const {
  return std::make_unique<DecoderStream>(*this, special);
}

std::string JsonTokenizer::decode(std::span<const int32_t> ids, SpecialText special) const {
  DecoderStream steps(*this, special);
  std::string text;
  for (const int32_t id : ids) text += steps.push(id);
  return text + steps.finish();
}

}  // namespace

bool uses(const Json& description, const std::string& type) {
  if (description.is_object() && description.value("type", Json()) == type) return true;
  if (!description.is_structured()) return false;
  for (const auto& part : description)
    if (uses(part, type)) return true;
  return false;
}

std::shared_ptr<const Tokenizer> make_json_tokenizer(TokenizerParts parts) {
  return std::make_shared<JsonTokenizer>(std::move(parts));
}

}  // namespace cmc::text
