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

// For every base token the delta token that stands in for it (protocol: PM-MinED).
struct TokenMap {
  std::vector<DeltaToken> ids;  // [base vocabulary]; -1: unmapped, its delta logit counts as 0
  std::vector<Match> match;     // [base vocabulary]
  int32_t delta_size = 0;       // ids are below it
  // one_to_many alone, else both empty: base token v's candidates are candidates[offsets[v]] … before offsets[v + 1],
  // ascending; `ids` keeps the nearest of them.
  std::vector<DeltaToken> candidates;
  std::vector<int64_t> offsets;  // [base vocabulary + 1]

  DeltaToken operator[](BaseToken token) const { return ids[static_cast<size_t>(token.value)]; }
};

struct Coverage {
  int64_t exact = 0, inexact = 0, unmapped = 0;
};
Coverage coverage(const TokenMap& map);

// one_to_many: what has no identical token keeps all prefix-related ones instead of the nearest; an identical token is
// the only candidate, because PM-MinED looks for others only where there is none (protocol, "PM-MinED").
enum class Method { pm_mined, exact_only, one_to_many };
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
