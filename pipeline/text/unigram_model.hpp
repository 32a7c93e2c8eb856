#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/text/piece_table.hpp"
#include "pipeline/text/token_model.hpp"
#include "pipeline/text/tokenizer_file.hpp"

namespace cmc::text {

// Unigram language model (Kudo 2018) as the tokenizers library runs it: the most likely segmentation, of equal ones the
// one whose last piece begins first; unknown characters in a row become one unknown token, or byte tokens.
// O(characters × longest piece × log pieces).
class UnigramModel : public TokenModel {
 public:
  // Throws BadData naming the field of `file` that is wrong.
  explicit UnigramModel(const TokenizerFile& file);

  void encode(std::string_view word, std::vector<int32_t>& ids) const override;
  const std::vector<std::string>& pieces() const override { return pieces_; }
  int32_t id_of(std::string_view piece) const override;
  bool has_byte_fallback() const override { return byte_fallback_; }
  int32_t unknown() const override { return unknown_; }
  int32_t entries() const override { return static_cast<int32_t>(pieces_.size()); }

 private:
  struct Step {  // of the best path that ends here
    double score = 0;
    int32_t id = -1;
    size_t begin = 0;
    bool reached = false;
  };

  std::vector<Step> best_path(std::string_view word) const;
  void relax_pieces(std::string_view word, size_t begin, size_t character_end, std::vector<Step>& steps) const;
  void append(std::string_view piece, std::vector<int32_t>& ids) const;

  std::vector<std::string> pieces_;
  std::vector<double> scores_;
  std::vector<int32_t> sorted_;  // ids in the order of their pieces, so that a prefix is a range
  PieceTable ids_;
  std::array<int32_t, 256> byte_ids_{};  // -1: no <0xNN> token
  int32_t unknown_ = -1;
  double unknown_score_ = 0;
  bool byte_fallback_ = false;
};

}  // namespace cmc::text
