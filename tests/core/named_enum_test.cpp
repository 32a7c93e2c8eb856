#include "pipeline/core/named_enum.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cmc {
namespace {

enum class Fruit { apple, pear, quince };
constexpr NamedEnum fruits("fruit", std::to_array<Named<Fruit>>({{Fruit::apple, "apple"}, {Fruit::pear, "pear"}}));

TEST(NamedEnum, NamesGoBothWays) {
  for (const auto& [value, name] : fruits.all()) {
    EXPECT_EQ(fruits.name_of(value), name);
    EXPECT_EQ(fruits.named<BadData>(name), value);
    EXPECT_EQ(fruits.find(name), value);
  }
  EXPECT_EQ(fruits.find("plum"), std::nullopt);
  EXPECT_EQ(fruits.names(), "apple, pear");
}

TEST(NamedEnum, AnUnknownNameNamesTheKnownOnes) {
  try {
    fruits.named<BadExperiment>("plum");
    FAIL();
  } catch (const BadExperiment& error) {
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("fruit"), testing::HasSubstr("\"plum\""),
                                             testing::HasSubstr("apple, pear")));
  }
}

TEST(NamedEnum, AValueWithoutANameIsABug) {
  EXPECT_THROW(fruits.name_of(Fruit::quince), Internal);
}

}  // namespace
}  // namespace cmc
