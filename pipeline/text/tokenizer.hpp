#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cmc::text {

// What one vocabulary entry stands for, independent of how its tokenizer writes it.
enum class TokenKind {
  text,     // `bytes` is valid UTF-8
  partial,  // `bytes` is part of a UTF-8 sequence (byte-level BPE)
  byte,     // byte fallback <0xNN>; `bytes` is that one byte
  special,  // begin, end, unknown, padding, chat marks
  unused,   // a hole in the id range
};

struct VocabularyEntry {
  std::string piece;  // as the tokenizer file writes it: "▁the", "Ġthe", "<0x0A>"
  std::string bytes;  // the text it stands for, spaces as ' '; empty for special and unused
  TokenKind kind = TokenKind::unused;
};

// Tokens with a role; -1 where the vocabulary has none.
struct SpecialTokens {
  int32_t begin = -1;
  int32_t end = -1;
  int32_t unknown = -1;
  int32_t padding = -1;
};

enum class TokenizerKind { byte_level_bpe, sentencepiece };

enum class AddedTokens {
  none,      // exactly the text (Hugging Face: add_special_tokens=False)
  as_model,  // with what the post-processor adds (a begin token for Llama, nothing for SmolLM2)
};

enum class SpecialText { keep, skip };  // special tokens when decoding

// Text of a growing id sequence, in amortised O(1) a push. The concatenation of all pushes and of finish() equals
// decode().
class TextStream {
 public:
  virtual ~TextStream() = default;
  virtual std::string push(int32_t id) = 0;  // text that is settled now: whole characters, maybe none
  virtual std::string finish() = 0;          // what was held back
};

// Text <-> ids. Immutable and safe to share between threads.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Special tokens written out in `text` are recognised, as Hugging Face tokenizers does (a lone tokenizer.model: not).
  virtual std::vector<int32_t> encode(std::string_view text, AddedTokens added) const = 0;

  using SpecialText = text::SpecialText;
  // Ids without a token (rows that pad a model's vocabulary) are no text; negative ones throw Internal. Bytes that form
  // no character give U+FFFD.
  virtual std::string decode(std::span<const int32_t> ids, SpecialText special) const = 0;
  // The same, token by token. The tokenizer must outlive the stream. The version here decodes everything at each push.
  virtual std::unique_ptr<TextStream> stream(SpecialText special) const;

  virtual TokenizerKind kind() const = 0;
  virtual const std::vector<VocabularyEntry>& vocabulary() const = 0;  // [size()], index = id
  virtual const SpecialTokens& special() const = 0;

  int32_t size() const { return static_cast<int32_t>(vocabulary().size()); }
  // SHA-256 over pieces and kinds in id order: two tokenizers with the same digest share one vocabulary.
  std::string vocabulary_digest() const;
};

// Some tokenizers have special tokens that their model has no row for (Gemma 3's image token), which matters only where
// one is read. Throws BadData naming `where` when ordinary tokens lie beyond the model's `rows`: it belongs to another
// one.
void expect_belongs(const Tokenizer& tokenizer, int64_t rows, const std::string& where);

// A folder is read as transformers' AutoTokenizer (5, fast) reads it: tokenizer.json, or tokenizer.model, or vocab.json
// and merges.txt, with tokenizer_config.json, special_tokens_map.json, added_tokens.json and config.json beside them.
// `path` may also be a tokenizer.json, read like its folder, or a tokenizer.model by itself, read by SentencePiece.
// Throws MissingInput, BadData or Refused naming file and field.
std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& path);

}  // namespace cmc::text
