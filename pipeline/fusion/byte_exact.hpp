#pragma once
#include <torch/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "pipeline/model/decoder_model.hpp"
#include "pipeline/text/tokenizer.hpp"

namespace cmc::fusion {

// What a delta of another vocabulary says of the base's tokens without any map: how probable it is that the next bytes
// are a token's and no longer one's, in whatever tokens of its own it writes them, which is what the next token would
// be if the base cut texts by longest match (cf. Vieira et al. 2024, models over tokens as models over bytes). What a
// token map stands in for, for vocabularies small enough: a pass of the delta for each way to write the beginning of a
// token.
class ByteExact {
 public:
  // Ways to write a beginning that are less probable than `least` are not followed: a probability is too small by at
  // most `least` times their number.
  ByteExact(std::shared_ptr<const model::DecoderModel> delta, const text::Tokenizer& delta_tokens,
            const text::Tokenizer& base_tokens, double least = 1e-7);

  // [base tokens] float64 log-probabilities (nat) after `context`, the delta's tokens, not empty; minus infinity: less
  // probable than `least` in every way, or longer tokens have all of it; NaN: it is no text, and no special token of
  // the delta. A special token is as probable as the delta's of its role or piece. Tokens of the same bytes have the
  // same.
  std::vector<double> log_probs(std::span<const int32_t> context) const;

 private:
  struct Node {
    std::map<unsigned char, int32_t> children;
    std::vector<int32_t> tokens;  // of the base that end here
  };
  // A beginning that is written so far.
  struct Written {
    int32_t node = 0;
    double probability = 1;
    std::vector<int32_t> tokens;  // context and the delta's tokens since
  };
  void add(int32_t token, const std::string& bytes);
  void take_longer_tokens_off(std::vector<double>& sums) const;
  torch::Tensor probabilities_after(std::span<const Written> all) const;
  void spread(const Written& from, const float* next, std::vector<double>& sums, std::vector<Written>& further) const;

  std::shared_ptr<const model::DecoderModel> delta_;
  std::vector<std::string> delta_bytes_;               // [delta tokens]; empty: no text
  std::vector<Node> trie_;                             // of the base's tokens by their bytes; 0: the root
  std::vector<std::pair<int32_t, int32_t>> specials_;  // base token, the delta's
  size_t base_size_;
  double least_;
};

}  // namespace cmc::fusion
