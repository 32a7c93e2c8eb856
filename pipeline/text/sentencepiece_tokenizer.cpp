#include "pipeline/text/sentencepiece_tokenizer.hpp"

#include <sentencepiece_processor.h>

#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/utf8.hpp"
#include "pipeline/text/tokenizer_file.hpp"

namespace cmc::text {
namespace {

constexpr std::string_view space_symbol = "\u2581";

std::string with_spaces(std::string_view piece) {
  std::string text;
  for (size_t at = 0; at < piece.size();) {
    const bool space = piece.substr(at).starts_with(space_symbol);
    text += space ? ' ' : piece[at];
    at += space ? space_symbol.size() : 1;
  }
  return text;
}

// How the model treats white space at the start of a decoded text; the library keeps these settings to itself.
struct LeadingSpace {
  bool dropped = false;      // add_dummy_prefix: the first one stands for nothing
  bool dropped_all = false;  // remove_extra_whitespaces
};

class SentencePieceTokenizer : public Tokenizer {
 public:
  SentencePieceTokenizer(const std::filesystem::path& file, const TokenizerConfig& config);

  std::vector<int32_t> encode(std::string_view text, AddedTokens added) const override;
  std::string decode(std::span<const int32_t> ids, SpecialText special) const override;
  std::unique_ptr<TextStream> stream(SpecialText special) const override;
  TokenizerKind kind() const override { return TokenizerKind::sentencepiece; }
  const std::vector<VocabularyEntry>& vocabulary() const override { return vocabulary_; }
  const SpecialTokens& special() const override { return special_; }
  const LeadingSpace& leading_space() const { return leading_; }
  const std::string& unknown_surface() const { return unknown_surface_; }

 private:
  VocabularyEntry describe(int id) const;
  void probe_leading_space();

  sentencepiece::SentencePieceProcessor processor_;
  std::vector<VocabularyEntry> vocabulary_;
  SpecialTokens special_;
  LeadingSpace leading_;
  std::string unknown_surface_;
  bool adds_begin_ = false, adds_end_ = false;
};

// SentencePieceProcessor::Decode, token by token: bytes are text as soon as a character is complete, a byte of none is
// U+FFFD; control tokens are nothing; leading space goes as the model says.
class PieceStream : public TextStream {
 public:
  PieceStream(const SentencePieceTokenizer& tokenizer, SpecialText special)
      : tokenizer_(tokenizer), special_(special) {}

  std::string push(int32_t id) override {
    expect(id >= 0, "a token id to decode is not negative");
    if (id >= tokenizer_.size()) return {};  // a row of the model that has no token: no text
    const auto& entry = tokenizer_.vocabulary()[static_cast<size_t>(id)];
    if (special_ == SpecialText::skip && entry.kind == TokenKind::special) return {};
    if (entry.kind == TokenKind::byte) return push_byte(entry.bytes[0]);
    std::string out = settle(bytes_.size());
    if (dropped_space_ || any_) at_start_ = false;
    dropped_space_ = false;
    if (id == tokenizer_.special().unknown)
      out += keep(tokenizer_.unknown_surface());
    else if (entry.kind != TokenKind::special)
      out += keep(without_leading_space(entry.piece));
    return out;
  }

  std::string finish() override { return settle(bytes_.size()); }

 private:
  std::string push_byte(char byte) {
    bytes_ += byte;
    return settle(complete_utf8_prefix(bytes_));
  }

  // Text of the first `length` held bytes; each byte of no character is U+FFFD.
  std::string settle(size_t length) {
    std::string out;
    const std::string_view bytes = std::string_view(bytes_).substr(0, length);
    for (size_t at = 0; at < bytes.size();) append_utf8(out, next_code_point(bytes, at));
    bytes_.erase(0, length);
    return keep(std::move(out));
  }

  std::string keep(std::string out) {
    any_ = any_ || !out.empty();
    return out;
  }

  std::string without_leading_space(std::string_view piece) {
    const auto& leading = tokenizer_.leading_space();
    if (at_start_ && leading.dropped && piece.starts_with(space_symbol)) {
      piece.remove_prefix(space_symbol.size());
      dropped_space_ = !leading.dropped_all;
    }
    return with_spaces(piece);
  }

  const SentencePieceTokenizer& tokenizer_;
  SpecialText special_;
  std::string bytes_;  // of a character that is not complete
  bool at_start_ = true, dropped_space_ = false, any_ = false;
};

SentencePieceTokenizer::SentencePieceTokenizer(const std::filesystem::path& file, const TokenizerConfig& config) {
  const std::string bytes = read_file(file);
  refuse_pointer(bytes, file.string());
  const auto status = processor_.LoadFromSerializedProto(bytes);
  if (!status.ok() || processor_.GetPieceSize() <= 0)
    throw BadData({file.string(), std::string("is no SentencePiece model: ") + status.error_message(),
                   "it may be truncated, or a Git LFS pointer; fetch it again"});
  for (int id = 0; id < processor_.GetPieceSize(); ++id) vocabulary_.push_back(describe(id));
  special_ = {processor_.bos_id(), processor_.eos_id(), processor_.unk_id(), processor_.pad_id()};
  adds_begin_ = special_.begin >= 0 && config.add_begin.value_or(true);
  adds_end_ = special_.end >= 0 && config.add_end.value_or(false);
  if (special_.unknown >= 0) unknown_surface_ = processor_.DecodeIds(std::vector<int>{special_.unknown});
  probe_leading_space();
}

VocabularyEntry SentencePieceTokenizer::describe(int id) const {
  const std::string& piece = processor_.IdToPiece(id);
  if (processor_.IsControl(id) || processor_.IsUnknown(id)) return {piece, "", TokenKind::special};
  if (processor_.IsUnused(id)) return {piece, "", TokenKind::unused};
  if (processor_.IsByte(id))
    return {piece, std::string(1, static_cast<char>(std::stoi(piece.substr(3, 2), nullptr, 16))), TokenKind::byte};
  return {piece, with_spaces(piece), TokenKind::text};
}

void SentencePieceTokenizer::probe_leading_space() {
  for (int id = 0; id < size(); ++id) {
    const auto& entry = vocabulary_[static_cast<size_t>(id)];
    const std::string_view rest =
        std::string_view(entry.piece).substr(std::min(entry.piece.size(), space_symbol.size()));
    if (entry.kind != TokenKind::text || !entry.piece.starts_with(space_symbol)) continue;
    if (rest.empty() || rest.starts_with(space_symbol)) continue;
    leading_.dropped = !processor_.DecodeIds(std::vector<int>{id}).starts_with(' ');
    const int lone = processor_.PieceToId(space_symbol);
    leading_.dropped_all =
        lone != special_.unknown && !processor_.DecodeIds(std::vector<int>{lone, id}).starts_with(' ');
    return;
  }
}

std::vector<int32_t> SentencePieceTokenizer::encode(std::string_view text, AddedTokens added) const {
  std::vector<int> ids;
  const auto status = processor_.Encode(absl::string_view(text.data(), text.size()), &ids);
  expect(status.ok(), "SentencePiece encodes any text");
  std::vector<int32_t> made;
  if (added == AddedTokens::as_model && adds_begin_) made.push_back(special_.begin);
  made.insert(made.end(), ids.begin(), ids.end());
  if (added == AddedTokens::as_model && adds_end_) made.push_back(special_.end);
  return made;
}

std::unique_ptr<TextStream> SentencePieceTokenizer::stream(SpecialText special) const {
  return std::make_unique<PieceStream>(*this, special);
}

std::string SentencePieceTokenizer::decode(std::span<const int32_t> ids, SpecialText special) const {
  PieceStream stream(*this, special);
  std::string text;
  for (const int32_t id : ids) text += stream.push(id);
  return text + stream.finish();
}

}  // namespace

std::shared_ptr<const Tokenizer> load_sentencepiece_tokenizer(const std::filesystem::path& file,
                                                              const TokenizerConfig& config) {
  return std::make_shared<SentencePieceTokenizer>(file, config);
}

}  // namespace cmc::text
