#include "pipeline/core/utf8.hpp"

#include <gtest/gtest.h>

namespace cmc {

TEST(Utf8, CountsCodePointsNotBytes) {
  EXPECT_EQ(count_code_points("a▁é😀"), 4u);
}

TEST(Utf8, CompletePrefixStopsBeforeACutCharacter) {
  const std::string emoji = "x😀";
  EXPECT_EQ(complete_utf8_prefix(emoji), 5u);
  for (size_t cut = 2; cut < 5; ++cut) EXPECT_EQ(complete_utf8_prefix(emoji.substr(0, cut)), 1u) << cut;
  EXPECT_EQ(complete_utf8_prefix("x\xff"), 2u) << "an invalid byte is not the start of a character";
}

TEST(Utf8, ReplacesEachMaximalInvalidSubpartOnce) {
  EXPECT_EQ(replace_invalid_utf8("a\xf0\x9f\x98z"), "a\xef\xbf\xbdz");
  EXPECT_EQ(replace_invalid_utf8("\xff\xfe"), "\xef\xbf\xbd\xef\xbf\xbd");
}

TEST(Utf8, AppendAndNextAreInverse) {
  for (char32_t c : {U'a', U'é', U'▁', U'😀', U'\U0010FFFF'}) {
    std::string text;
    append_utf8(text, c);
    size_t at = 0;
    EXPECT_EQ(next_code_point(text, at), c);
    EXPECT_EQ(at, text.size());
  }
}

}  // namespace cmc
