#pragma once
#include <compare>
#include <cstdint>

namespace cmc {

// A token id of one vocabulary. Base and delta ids are different types, so that mixing them up does not compile.
template <class Vocabulary>
struct TokenId {
  int32_t value = -1;  // -1: no token
  auto operator<=>(const TokenId&) const = default;
};
struct BaseVocabulary;   // the target's
struct DeltaVocabulary;  // the delta model's
using BaseToken = TokenId<BaseVocabulary>;
using DeltaToken = TokenId<DeltaVocabulary>;

}  // namespace cmc
