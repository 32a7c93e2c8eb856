#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "pipeline/text/added_tokens.hpp"
#include "pipeline/text/tokenizer_file.hpp"

namespace cmc::text {

// What a SentencePiece tokenizer.model holds (sentencepiece_model.proto), as far as its conversion needs it.
struct SentencePieceFile {
  enum class Kind { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
  struct Piece {
    std::string text;
    float score = 0;
    Kind kind = Kind::normal;
  };

  std::string name;  // for errors
  std::vector<Piece> pieces;
  bool is_unigram = true, byte_fallback = false;
  int32_t unknown = 0, begin = 1, end = 2;  // ids; negative: none
  std::string unknown_piece = "<unk>", begin_piece = "<s>", end_piece = "</s>";
  std::string character_map;  // of its normalizer; empty: none
};

// Throws MissingInput or BadData naming the file: no SentencePiece model, a tiktoken vocabulary, a Git LFS pointer.
SentencePieceFile read_sentencepiece_file(const std::filesystem::path& file);

// The vocabulary as transformers takes it from the file: BPE merges are all the ways to cut a piece in two known ones,
// by the id of the result. `as_bpe`: also where the file is a Unigram. With the parts of a tokenizer of no class.
TokenizerFile converted(const SentencePieceFile& file, bool as_bpe);

// Its control and user-defined pieces, which are matched in a text as they are.
std::vector<AddedToken> tokens_of(const SentencePieceFile& file);

}  // namespace cmc::text
