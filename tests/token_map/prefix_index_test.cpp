#include "pipeline/token_map/prefix_index.hpp"

#include <gtest/gtest.h>

namespace cmc::token_map {
namespace {

using Texts = std::vector<std::optional<std::string>>;

TEST(PrefixIndex, SmallestIdAmongEquals) {
  const PrefixIndex index(Texts{"abcd", "b", "abc", "abd", "a", "abc"});
  EXPECT_EQ(index.exact("abc"), 2);
  EXPECT_EQ(index.nearest("ab"), 2) << "abc and abd go one further, a is one shorter: the smallest id of distance 1";
  EXPECT_EQ(index.nearest("abcde"), 0);
  EXPECT_EQ(index.nearest("abcx"), 2);
  EXPECT_EQ(index.nearest("x"), -1);
}

TEST(PrefixIndex, DistanceCountsCodePoints) {
  const PrefixIndex index(Texts{"a\u00E9\u00E9", "ab"});
  EXPECT_EQ(index.nearest("a"), 1) << "one code point away, the other is two";
  const PrefixIndex longer(Texts{"\u65E5\u672C", "\u65E5\u672Cab"});
  EXPECT_EQ(longer.nearest("\u65E5\u672Ca"), 0) << "both one away";
}

TEST(PrefixIndex, ALoneSpaceStandsOnlyForSpaces) {
  const PrefixIndex index(Texts{" ", "x"});
  EXPECT_EQ(index.nearest(" the"), -1);
  EXPECT_EQ(index.nearest("   "), 0);
}

TEST(PrefixIndex, RelatedTextsAreAllPrefixesAndContinuations) {
  const PrefixIndex index(Texts{"abcd", "b", "abc", "abd", "a", "abc", "ab", "\u00E9x"});
  EXPECT_EQ(index.related("abc"), (std::vector<int32_t>{0, 4, 6})) << "equal texts are exact matches, no candidates";
  EXPECT_EQ(index.related("ab"), (std::vector<int32_t>{0, 2, 3, 4, 5})) << "each of two equal texts";
  EXPECT_EQ(index.related("\u00E9"), (std::vector<int32_t>{7}));
  EXPECT_TRUE(index.related("x").empty());
  const PrefixIndex spaces(Texts{" ", "  ", " x"});
  EXPECT_EQ(spaces.related(" xy"), (std::vector<int32_t>{2})) << "a lone space stands only for spaces";
  EXPECT_EQ(spaces.related("   "), (std::vector<int32_t>{0, 1}));
}

TEST(PrefixIndex, LeavesOutEmptyAndAbsentTexts) {
  const PrefixIndex index(Texts{std::nullopt, "", "ab"});
  EXPECT_EQ(index.exact(""), -1);
  EXPECT_EQ(index.nearest("abc"), 2);
  const PrefixIndex empty(Texts{});
  EXPECT_EQ(empty.nearest("a"), -1);
  EXPECT_EQ(empty.exact("a"), -1);
}

}  // namespace
}  // namespace cmc::token_map
