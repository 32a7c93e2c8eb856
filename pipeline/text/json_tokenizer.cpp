#include "pipeline/text/json_tokenizer.hpp"

#include <unordered_map>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"
#include "pipeline/text/added_tokens.hpp"
#include "pipeline/text/bpe_model.hpp"
#include "pipeline/text/byte_level.hpp"
#include "pipeline/text/decoder.hpp"
#include "pipeline/text/normalizer.hpp"
#include "pipeline/text/post_processor.hpp"
#include "pipeline/text/pre_tokenizer.hpp"
#include "pipeline/text/tokenizer_file.hpp"

namespace cmc::text {
namespace {

constexpr const char* metaspace = "\u2581";

// Whether some component of that type is used anywhere below `description`.
bool uses(const Json& description, const std::string& type) {
  if (description.is_object() && description.value("type", Json()) == type) return true;
  if (!description.is_structured()) return false;
  for (const auto& part : description)
    if (uses(part, type)) return true;
  return false;
}

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
  JsonTokenizer(const TokenizerFile& file, const TokenizerConfig& config);

  std::vector<int32_t> encode(std::string_view text, AddedTokens added) const override;
  std::string decode(std::span<const int32_t> ids, SpecialText special) const override;
  std::unique_ptr<TextStream> stream(SpecialText special) const override;
  TokenizerKind kind() const override { return kind_; }
  const std::vector<VocabularyEntry>& vocabulary() const override { return vocabulary_; }
  const SpecialTokens& special() const override { return special_; }
  const Decoder& decoder() const { return decoder_; }
  // What the decoder is given for a token: the piece, or its normalised form for an added token matched in that form.
  const std::string& piece_to_decode(int32_t id) const {
    const auto form = normalized_forms_.find(id);
    return form == normalized_forms_.end() ? vocabulary_[static_cast<size_t>(id)].piece : form->second;
  }

 private:
  void place_added(const std::vector<AddedToken>& added, const std::string& where);
  void describe_pieces();
  VocabularyEntry describe(const std::string& piece) const;
  void encode_section(std::string_view text, bool at_start, std::vector<int32_t>& ids) const;

  BpeModel model_;
  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  Decoder decoder_;
  AddedTokenMatcher given_, normalized_;                       // added tokens matched before and after normalisation
  std::unordered_map<int32_t, std::string> normalized_forms_;  // of added tokens, where they differ from the piece
  Surroundings around_;
  TokenizerKind kind_;
  std::vector<VocabularyEntry> vocabulary_;
  SpecialTokens special_;
};

class DecoderStream : public TextStream {
 public:
  DecoderStream(const JsonTokenizer& tokenizer, SpecialText special) : tokenizer_(tokenizer), special_(special) {
    for (const auto& make : tokenizer.decoder()) steps_.push_back(make());
  }

  std::string push(int32_t id) override {
    expect(id >= 0 && id < tokenizer_.size(), "a token id to decode is in the vocabulary");
    const auto& entry = tokenizer_.vocabulary()[static_cast<size_t>(id)];
    if (entry.kind == TokenKind::unused) return {};
    if (entry.kind == TokenKind::special && special_ == SpecialText::skip) return {};
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

JsonTokenizer::JsonTokenizer(const TokenizerFile& file, const TokenizerConfig& config) : model_(file) {
  const auto part = [&](const char* key) { return json_field_or<Json>(file.rest, key, Json(), file.name); };
  normalizer_ = read_normalizer(part("normalizer"), file.name + ": normalizer");
  pre_tokenizer_ = read_pre_tokenizer(part("pre_tokenizer"), file.name + ": pre_tokenizer");
  decoder_ = read_decoder(part("decoder"), file.name + ": decoder");
  kind_ = uses(part("pre_tokenizer"), "ByteLevel") || uses(part("normalizer"), "ByteLevel") ||
                  uses(part("decoder"), "ByteLevel")
              ? TokenizerKind::byte_level_bpe
              : TokenizerKind::sentencepiece;
  describe_pieces();
  place_added(read_added_tokens(part("added_tokens"), file.name + ": added_tokens"), file.name + ": added_tokens");
  special_ = special_tokens_of(config, [&](const std::string& piece) {
    const int32_t in_model = model_.id_of(piece);
    if (in_model >= 0) return in_model;
    for (size_t id = model_.pieces().size(); id < vocabulary_.size(); ++id)
      if (vocabulary_[id].piece == piece) return static_cast<int32_t>(id);
    return int32_t{-1};
  });
  if (special_.unknown < 0) special_.unknown = model_.unknown();
  // The file's own post-processor counts; transformers ignores add_bos_token and add_eos_token beside a tokenizer.json.
  around_ = read_post_processor(part("post_processor"), size(), file.name + ": post_processor");
}

VocabularyEntry JsonTokenizer::describe(const std::string& piece) const {
  if (piece.empty()) return {};
  if (kind_ == TokenizerKind::byte_level_bpe) {
    const auto bytes = bytes_of_byte_level(piece);
    if (!bytes) return {piece, piece, TokenKind::text};
    return {piece, *bytes, is_valid_utf8(*bytes) ? TokenKind::text : TokenKind::partial};
  }
  if (model_.has_byte_fallback() && is_byte_piece(piece))
    return {piece, std::string(1, static_cast<char>(std::stoi(piece.substr(3, 2), nullptr, 16))), TokenKind::byte};
  return {piece, with_spaces(piece), TokenKind::text};
}

void JsonTokenizer::describe_pieces() {
  vocabulary_.reserve(model_.pieces().size());
  for (const auto& piece : model_.pieces()) vocabulary_.push_back(describe(piece));
}

void JsonTokenizer::place_added(const std::vector<AddedToken>& added, const std::string& where) {
  const size_t limit = 4 * (model_.pieces().size() + added.size()) + 65536;  // as for the model's own ids
  for (const auto& token : added) {
    const auto refuse = [&](const std::string& what) {
      throw BadData({where + ": \"" + token.content + "\"", what, "fetch the tokenizer again"});
    };
    const auto id = static_cast<size_t>(token.id);
    if (id > limit) refuse("has an id out of range: " + std::to_string(id));
    const int32_t in_model = model_.id_of(token.content);
    if (in_model >= 0 && in_model != token.id)
      refuse("has id " + std::to_string(id) + " here and " + std::to_string(in_model) + " in model.vocab");
    if (id < vocabulary_.size() && vocabulary_[id].piece != token.content && !vocabulary_[id].piece.empty())
      refuse("has the id " + std::to_string(id) + " of \"" + vocabulary_[id].piece + "\"");
    if (id >= vocabulary_.size()) vocabulary_.resize(id + 1);
    std::string written = token.content;
    if (token.normalized) normalizer_(written);
    vocabulary_[id] = token.special ? VocabularyEntry{token.content, "", TokenKind::special} : describe(written);
    vocabulary_[id].piece = token.content;
    if (written != token.content) normalized_forms_[token.id] = written;
    if (!written.empty()) (token.normalized ? normalized_ : given_).add(token, written);
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
      model_.encode(std::string_view(words.text).substr(begin, end - begin), ids);
  }
}

std::vector<int32_t> JsonTokenizer::encode(std::string_view text, AddedTokens added) const {
  std::string replaced;
  if (!is_valid_utf8(text)) text = replaced = replace_invalid_utf8(text);
  std::vector<int32_t> ids;
  if (added == AddedTokens::as_model) ids = around_.before;
  for (const auto& section : given_.split(text)) {
    if (section.id >= 0)
      ids.push_back(section.id);
    else
      encode_section(section.text, section.text.data() == text.data(), ids);
  }
  if (added == AddedTokens::as_model) ids.insert(ids.end(), around_.after.begin(), around_.after.end());
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

std::shared_ptr<const Tokenizer> load_json_tokenizer(const std::filesystem::path& file, const TokenizerConfig& config) {
  return std::make_shared<JsonTokenizer>(read_tokenizer_file(file), config);
}

}  // namespace cmc::text
