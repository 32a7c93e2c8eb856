#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/data/alpaca_eval.hpp"

namespace cmc::data {
namespace {

using testing::HasSubstr;

// alpaca_eval.json with `checks` on its items, this project's own field.
class Checks : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(file); }
  std::vector<ResponseCheck> read(const std::string& checks) {
    publish_file(file, R"([{"instruction": "i", "output": "o", "generator": "g", "checks": )" + checks + "}]");
    return read_alpaca_eval(file).items.at(0).checks;
  }
  std::string refusal(const std::string& checks) {
    try {
      read(checks);
    } catch (const BadData& error) {
      EXPECT_FALSE(error.problem().remedy.empty());
      return error.what();
    }
    return "was accepted";
  }
  std::filesystem::path file = testing::TempDir() + "/cmc_checks_" + std::to_string(::getpid()) + ".json";
};

TEST_F(Checks, AreReadWithDefaults) {
  const auto checks = read(R"([{"rule": "contains_all", "of": "fact", "words": ["a b", "c"], "extra": 1},
                               {"rule": "word_count", "of": "format", "least": 2, "most": 9, "words": null}])");
  ASSERT_EQ(checks.size(), 2u);
  EXPECT_EQ(checks[0].rule, "contains_all");
  EXPECT_EQ(checks[0].of, "fact");
  EXPECT_EQ(checks[0].words, (std::vector<std::string>{"a b", "c"}));
  EXPECT_EQ(checks[0].least, 0u);
  EXPECT_EQ(checks[0].most, std::numeric_limits<size_t>::max());
  EXPECT_TRUE(checks[1].words.empty());
  EXPECT_EQ(checks[1].least, 2u);
  EXPECT_EQ(checks[1].most, 9u);
}

TEST_F(Checks, MayBeAbsent) {
  EXPECT_TRUE(read("null").empty());
  EXPECT_TRUE(read("[]").empty());
  publish_file(file, R"([{"instruction": "i", "output": "o", "generator": "g"}])");
  EXPECT_TRUE(read_alpaca_eval(file).items.at(0).checks.empty());
}

TEST_F(Checks, AreRefusedWithPlaceAndField) {
  const std::pair<const char*, std::vector<const char*>> cases[] = {
      {R"({"rule": "quoted"})", {"[0]: checks", "object"}},
      {R"([1])", {"[0]: checks[0]", "number"}},
      {R"([{"of": "fact"}])", {"checks[0]: rule", "missing"}},
      {R"([{"rule": "quoted"}])", {"checks[0]: of", "missing"}},
      {R"([{"rule": " ", "of": "fact"}])", {"checks[0]: rule", "empty"}},
      {R"([{"rule": "json", "of": "fact"}, {"rule": "json", "of": "style"}])", {"checks[1]: of", "style"}},
      {R"([{"rule": "a", "of": "fact", "words": "w"}])", {"checks[0]: words", "string"}},
      {R"([{"rule": "a", "of": "fact", "words": []}])", {"checks[0]: words", "empty"}},
      {R"([{"rule": "a", "of": "fact", "words": ["w", ""]}])", {"checks[0]: words[1]", "empty"}},
      {R"([{"rule": "a", "of": "fact", "least": -1}])", {"checks[0]: least", "-1"}},
      {R"([{"rule": "a", "of": "fact", "most": 1.5}])", {"checks[0]: most", "1.5"}},
      {R"([{"rule": "a", "of": "fact", "most": "2"}])", {"checks[0]: most", "string"}},
      {R"([{"rule": "a", "of": "fact", "least": 3, "most": 2}])", {"checks[0]: least", "most"}},
  };
  for (const auto& [checks, named] : cases)
    for (const auto* name : named) EXPECT_THAT(refusal(checks), HasSubstr(name)) << checks;
}

}  // namespace
}  // namespace cmc::data
