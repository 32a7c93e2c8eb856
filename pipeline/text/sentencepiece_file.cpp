#include "pipeline/text/sentencepiece_file.hpp"

#include <bit>
#include <cstring>
#include <optional>
#include <string_view>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/utf8.hpp"
#include "pipeline/text/base64.hpp"
#include "pipeline/text/piece_table.hpp"

namespace cmc::text {
namespace {

// Protocol buffers' wire format: a field is its number and kind, then a number, four or eight bytes, or bytes with
// their length before them.
struct Field {
  uint64_t number = 0;
  uint64_t value = 0;      // of a number
  std::string_view bytes;  // of all others
};

class Message {
 public:
  explicit Message(std::string_view bytes) : rest_(bytes) {}

  // The next field; nothing at the end or where the message is broken.
  std::optional<Field> next() {
    if (rest_.empty()) return std::nullopt;
    Field field;
    const uint64_t key = varint();
    field.number = key >> 3;
    switch (key & 7) {
      case 0:
        field.value = varint();
        break;
      case 1:
        field.bytes = take(8);
        break;
      case 2:
        field.bytes = take(varint());
        break;
      case 5:
        field.bytes = take(4);
        break;
      default:
        broken_ = true;
    }
    return broken_ ? std::nullopt : std::optional(field);
  }
  bool broken() const { return broken_; }

 private:
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = take(1);
      if (byte.empty()) return 0;
      value |= static_cast<uint64_t>(byte[0] & 0x7F) << shift;
      if ((byte[0] & 0x80) == 0) return value;
    }
    broken_ = true;
    return 0;
  }
  std::string_view take(uint64_t length) {
    if (length > rest_.size()) {
      broken_ = true;
      return {};
    }
    const auto taken = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return taken;
  }

  std::string_view rest_;
  bool broken_ = false;
};

// Calls `use` for each field; false where the message is broken.
template <class Use>
bool each_field(std::string_view bytes, Use use) {
  Message message(bytes);
  while (const auto field = message.next())
    if (!use(*field)) return false;
  return !message.broken();
}

bool read_piece(std::string_view bytes, SentencePieceFile& into) {
  SentencePieceFile::Piece piece;
  const bool whole = each_field(bytes, [&](const Field& field) {
    if (field.number == 1) piece.text = field.bytes;
    if (field.number == 2 && field.bytes.size() == 4) std::memcpy(&piece.score, field.bytes.data(), 4);
    if (field.number == 3 && field.value >= 1 && field.value <= 6)
      piece.kind = static_cast<SentencePieceFile::Kind>(field.value);
    return true;
  });
  into.pieces.push_back(std::move(piece));
  return whole && is_valid_utf8(into.pieces.back().text);
}

bool read_trainer(std::string_view bytes, SentencePieceFile& into) {
  return each_field(bytes, [&](const Field& field) {
    const auto id = static_cast<int32_t>(static_cast<int64_t>(field.value));
    switch (field.number) {
      case 3:
        into.is_unigram = field.value == 1;
        break;
      case 35:
        into.byte_fallback = field.value != 0;
        break;
      case 40:
        into.unknown = id;
        break;
      case 41:
        into.begin = id;
        break;
      case 42:
        into.end = id;
        break;
      case 45:
        into.unknown_piece = field.bytes;
        break;
      case 46:
        into.begin_piece = field.bytes;
        break;
      case 47:
        into.end_piece = field.bytes;
        break;
      default:
        break;
    }
    return true;
  });
}

bool read_normalizer(std::string_view bytes, SentencePieceFile& into) {
  return each_field(bytes, [&](const Field& field) {
    if (field.number == 2) into.character_map = field.bytes;
    return true;
  });
}

// "aGVsbG8= 17" a line
bool is_tiktoken(std::string_view text) {
  const auto line = text.substr(0, text.find('\n'));
  const size_t space = line.find(' ');
  return space != std::string_view::npos && bytes_of_base64(line.substr(0, space)) &&
         line.substr(space + 1).find_first_not_of("0123456789\r") == std::string_view::npos &&
         line.substr(space + 1).find_first_of("0123456789") == 0;
}

bool all_known(std::string_view left, std::string_view right, const PieceTable& ids,
               const std::vector<std::string>& pieces) {
  return ids.find(left, pieces) >= 0 && ids.find(right, pieces) >= 0;
}

void add_merges(TokenizerFile& made, const std::vector<std::string>& pieces) {
  PieceTable ids(pieces.size());
  for (size_t id = 0; id < pieces.size(); ++id) ids.insert(static_cast<int32_t>(id), pieces);
  for (const std::string& piece : pieces) {
    size_t at = 0;
    if (!piece.empty()) next_code_point(piece, at);
    for (; at < piece.size(); next_code_point(piece, at)) {
      const std::string_view left = std::string_view(piece).substr(0, at), right = std::string_view(piece).substr(at);
      if (all_known(left, right, ids, pieces)) made.merges.emplace_back(left, right);
    }
  }
}

}  // namespace

SentencePieceFile read_sentencepiece_file(const std::filesystem::path& file) {
  SentencePieceFile made;
  made.name = file.string();
  const std::string bytes = read_file(file);
  refuse_pointer(bytes, made.name);
  if (is_tiktoken(bytes))
    throw Refused({made.name, "is a vocabulary of the tiktoken library, whose pattern stands in the model's own code",
                   "convert it with transformers (AutoTokenizer … save_pretrained) and give its tokenizer.json"});
  const bool whole = each_field(bytes, [&](const Field& field) {
    if (field.number == 1) return read_piece(field.bytes, made);
    if (field.number == 2) return read_trainer(field.bytes, made);
    if (field.number == 3) return read_normalizer(field.bytes, made);
    return true;
  });
  if (!whole || made.pieces.empty())
    throw BadData({made.name, "is no SentencePiece model", "it may be truncated; fetch it again"});
  if (made.pieces.size() > static_cast<size_t>(TokenizerFile::max_id))
    throw BadData({made.name, "has " + std::to_string(made.pieces.size()) + " pieces", "fetch it again"});
  return made;
}

TokenizerFile converted(const SentencePieceFile& file, bool as_bpe) {
  TokenizerFile made;
  made.name = file.name;
  const Json mark = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}};
  Json steps = Json::array({{{"type", "Replace"}, {"pattern", {{"String", "\u2581"}}}, {"content", " "}}});
  if (file.byte_fallback) steps.insert(steps.end(), {{{"type", "ByteFallback"}}, {{"type", "Fuse"}}});
  Json normalizers = Json::array({mark});
  if (!file.character_map.empty())
    normalizers.insert(normalizers.begin(),
                       Json{{"type", "Precompiled"}, {"precompiled_charsmap", base64_of_bytes(file.character_map)}});
  made.rest = {{"normalizer", {{"type", "Sequence"}, {"normalizers", normalizers}}},
               {"decoder", {{"type", "Sequence"}, {"decoders", steps}}},
               {"model", {{"byte_fallback", file.byte_fallback}}}};
  Json& model = made.rest["model"];
  if (file.is_unigram && !as_bpe) {
    model["type"] = "Unigram";
    model["unk_id"] = file.unknown;
    for (const auto& piece : file.pieces) made.scored.emplace_back(piece.text, piece.score);
    return made;
  }
  model["type"] = "BPE";
  model["fuse_unk"] = true;
  model["unk_token"] = file.unknown_piece;
  std::vector<std::string> pieces;
  for (const auto& piece : file.pieces) {
    made.vocabulary.emplace_back(piece.text, static_cast<int32_t>(pieces.size()));
    pieces.push_back(piece.text);
  }
  add_merges(made, pieces);
  return made;
}

std::vector<AddedToken> tokens_of(const SentencePieceFile& file) {
  std::vector<AddedToken> tokens;
  for (const auto& piece : file.pieces) {
    if (piece.kind != SentencePieceFile::Kind::control && piece.kind != SentencePieceFile::Kind::user_defined) continue;
    AddedToken token;
    token.content = piece.text;
    token.special = piece.kind == SentencePieceFile::Kind::control;
    tokens.push_back(std::move(token));
  }
  return tokens;
}

}  // namespace cmc::text
