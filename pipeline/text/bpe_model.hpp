#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pipeline/text/piece_table.hpp"
#include "pipeline/text/token_model.hpp"
#include "pipeline/text/tokenizer_file.hpp"

namespace cmc::text {

// Byte pair encoding (Sennrich et al. 2016) as the tokenizers library runs it: the pair of lowest rank is merged first,
// the leftmost among equals. O(n log n) in the characters of a word. Immutable; safe to share between threads.
class BpeModel : public TokenModel {
 public:
  // Throws BadData naming the field of `file` that is wrong.
  explicit BpeModel(const TokenizerFile& file);

  void encode(std::string_view word, std::vector<int32_t>& ids) const override;
  const std::vector<std::string>& pieces() const override { return pieces_; }
  int32_t id_of(std::string_view piece) const override;
  bool has_byte_fallback() const override { return byte_fallback_; }
  int32_t unknown() const override { return unknown_; }
  int32_t entries() const override { return entries_; }

 private:
  struct Merge {
    uint64_t pair = no_pair;  // left << 32 | right
    uint32_t rank = 0;
    int32_t made = -1;
  };
  static constexpr uint64_t no_pair = ~uint64_t{0};
  struct Symbol {
    int32_t id, previous, next;  // next -1: last; id -1: merged away
  };

  void read_vocabulary(const TokenizerFile& file);
  void read_merges(const TokenizerFile& file);
  const Merge* find_merge(int32_t left, int32_t right) const;
  void add_merge(const Merge& merge);
  std::vector<Symbol> symbols_of(std::string_view word) const;
  int32_t id_of_character(std::string_view character, bool is_first, bool is_last) const;
  bool append_bytes(std::string_view character, std::vector<Symbol>& symbols) const;
  void merge_all(std::vector<Symbol>& symbols) const;

  std::vector<std::string> pieces_;
  PieceTable ids_;
  std::vector<Merge> merges_;            // open addressing, a power of two, at most half full
  std::array<int32_t, 256> byte_ids_{};  // -1: no <0xNN> token
  std::string prefix_, suffix_;          // continuing_subword_prefix, end_of_word_suffix
  int32_t unknown_ = -1, entries_ = 0;
  bool fuse_unknown_ = false, byte_fallback_ = false, ignore_merges_ = false;
};

}  // namespace cmc::text
