#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/core/ids.hpp"
#include "pipeline/text/tokenizer.hpp"

namespace cmc::token_map {

enum class Match : int8_t { unmapped = 0, inexact = 1, exact = 2 };

// What a base token gets of its candidates' logits: the largest, or log Σ exp, the logit of "one of them".
enum class Pooling { maximum, log_sum };

// For every base token the delta token that stands in for it (protocol: PM-MinED).
struct TokenMap {
  std::vector<DeltaToken> ids;  // [base vocabulary]; -1: unmapped, its delta logit counts as 0
  std::vector<Match> match;     // [base vocabulary]
  int32_t delta_size = 0;       // ids are below it
  // one_to_many and prefix_sum, else both empty: the rows of a sparse matrix [base, delta] of ones, base token v's
  // candidates are candidates[offsets[v]] … before offsets[v + 1], ascending; `ids` keeps the nearest token.
  std::vector<DeltaToken> candidates;
  std::vector<int64_t> offsets;  // [base vocabulary + 1]
  Pooling pooling = Pooling::maximum;

  DeltaToken operator[](BaseToken token) const { return ids[static_cast<size_t>(token.value)]; }
};

struct Coverage {
  int64_t exact = 0, inexact = 0, unmapped = 0;
};
Coverage coverage(const TokenMap& map);
// The same of the tokens of a text: what share of them finds a delta token says more than that of a vocabulary, most of
// which is rarely used.
Coverage coverage_in_use(const TokenMap& map, std::span<const int32_t> base_tokens);

// one_to_many: what has no identical token keeps all prefix-related ones instead of the nearest; an identical token is
// the only candidate, because PM-MinED looks for others only where there is none (protocol, "PM-MinED").
// min_ed: the nearest by edit distance, no prefix of each other needed (MinED, Wan et al. 2024).
// prefix_sum: all tokens that begin with the base token, an identical one among them, summed as probabilities:
// whichever the delta would write, the next bytes are the base token's. Where none does, the nearest as in pm_mined.
// Not published.
enum class Method { pm_mined, exact_only, one_to_many, min_ed, prefix_sum };
Pooling pooling_of(Method method);
enum class Compat { corrected, authors };  // authors: the published map, its faults included (protocol, fault 6)

Method method_named(std::string_view name);  // throws Usage naming the known ones
Compat compat_named(std::string_view name);

// Maps `base` tokens into `delta`'s vocabulary. O(sum of token lengths · log V).
// Special tokens go by role, else to a special token of the same piece; bytes by value; parts of characters to the same
// bytes; text as PM-MinED says (paper, section 3.3), both vocabularies written with spaces for "▁" and "Ġ".
TokenMap make_token_map(const text::Tokenizer& base, const text::Tokenizer& delta, Method method, Compat compat);

// True when both are one vocabulary, compared token by token: the map is then the identity.
bool same_vocabulary(const text::Tokenizer& a, const text::Tokenizer& b);

// The first tokens in which two vocabularies differ, for a message: `12 "▁the" / "Ġthe", …`; empty when they are the
// same.
std::string first_differences(const text::Tokenizer& a, const text::Tokenizer& b, int at_most = 3);

}  // namespace cmc::token_map
