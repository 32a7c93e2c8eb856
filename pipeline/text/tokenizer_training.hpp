#pragma once
#include <cstdint>
#include <filesystem>

namespace cmc::text {

struct TokenizerTraining {
  int32_t pieces = 800;           // size of the vocabulary: <unk> 0, <s> 1, </s> 2, 256 bytes, then merges
  double character_coverage = 1;  // share of all characters that get a piece; the rarest others are written as bytes
};

// Trains a SentencePiece vocabulary (byte-pair encoding with byte fallback, as Llama's) on `lines`: a UTF-8 file with
// one text a line, empty lines left out. No text is changed (no Unicode normal form, no space removed), digits stand
// alone, and a piece never crosses a space; since a line holds no line break, "\n" is <0x0A>.
// Writes `folder`/tokenizer.model and tokenizer_config.json, which load_tokenizer and transformers (LlamaTokenizer)
// read; the folder may hold other files. One thread: the same lines give the same bytes with the same library.
// Throws MissingInput; BadData naming file and line (no UTF-8, a character that the trainer keeps for itself) or the
// setting that the texts do not allow; CannotCreate or IoError.
void train_tokenizer(const std::filesystem::path& lines, const std::filesystem::path& folder,
                     const TokenizerTraining& settings);

}  // namespace cmc::text
