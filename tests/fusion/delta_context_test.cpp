#include "pipeline/fusion/delta_context.hpp"

#include <gtest/gtest.h>

#include "pipeline/core/random.hpp"
#include "tests/fusion/character_tokenizer.hpp"

namespace cmc::fusion {
namespace {

using Begin = CharacterTokenizer::Begin;

struct Pair {
  std::shared_ptr<const text::Tokenizer> base =
      std::make_shared<CharacterTokenizer>(std::vector<std::string>{"a", "b", "c", "ab", "bc"}, Begin::added);
  std::shared_ptr<const text::Tokenizer> delta =
      std::make_shared<CharacterTokenizer>(std::vector<std::string>{"c", "b", "a", "ab", "abc"}, Begin::added);
  std::shared_ptr<token_map::TokenMap> map = std::make_shared<token_map::TokenMap>();

  Pair() {  // "bc" of the base has no equal: inexact
    using token_map::Match;
    map->ids = {{0}, {3}, {2}, {1}, {4}, {2}};
    map->match = {Match::exact, Match::exact, Match::exact, Match::exact, Match::exact, Match::inexact};
    map->delta_size = 6;
  }
};

std::vector<int32_t> read(DeltaContext& context) {
  return {context.ids().begin(), context.ids().end()};
}

}  // namespace

TEST(DeltaContext, AnExactTokenIsAppendedEvenWhereEncodingAgainWouldMergeIt) {
  const Pair pair;
  DeltaContext context(pair.base, pair.delta, pair.map, {{0}, {1}});
  context.append({4});  // "ab"
  context.append({3});  // "c": the delta tokenizer would write "abc" as one token
  EXPECT_EQ(read(context), (std::vector<int32_t>{0, 1, 4, 1}));
}

TEST(DeltaContext, AnInexactTokenEncodesTheWholeTextAgainWithoutBeginToken) {
  const Pair pair;
  DeltaContext context(pair.base, pair.delta, pair.map, {{0}});
  context.append({4});
  context.append({3});
  context.append({5});                                           // "bc"
  EXPECT_EQ(read(context), (std::vector<int32_t>{0, 5, 2, 1}));  // "abcbc" = abc, b, c
}

TEST(DeltaContext, WhenItIsAskedChangesNothing) {
  const Pair pair;
  Random random(4);
  for (int round = 0; round < 50; ++round) {
    DeltaContext each(pair.base, pair.delta, pair.map, {{0}, {3}}), late(pair.base, pair.delta, pair.map, {{0}, {3}});
    std::vector<int32_t> generated, expected{0, 3};
    for (int step = 0; step < 12; ++step) {
      const BaseToken token{static_cast<int32_t>(1 + random.below(5))};
      each.append(token);
      late.append(token);
      generated.push_back(token.value);
      // The published rule, written out.
      if (token.value != 5) {
        expected.push_back((*pair.map)[token].value);
      } else {
        expected = {0, 3};
        for (const int32_t id : pair.delta->encode(pair.base->decode(generated, text::Tokenizer::SpecialText::skip),
                                                   text::AddedTokens::none))
          expected.push_back(id);
      }
      ASSERT_EQ(read(each), expected);
    }
    ASSERT_EQ(read(late), expected);
  }
}

}  // namespace cmc::fusion
