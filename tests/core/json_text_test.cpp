#include "pipeline/core/json_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/core/error.hpp"
#include "pipeline/core/json.hpp"

namespace cmc {
namespace {

std::string nested(int depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

void expect_refused(std::string_view text, const std::string& named) {
  try {
    check_json_text(text, "a.json");
    FAIL() << "was accepted: " << text.substr(0, 40);
  } catch (const BadData& error) {
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("a.json"), testing::HasSubstr(named)));
  }
}

TEST(JsonText, ANulByteHidesNothing) {
  using namespace std::string_view_literals;
  EXPECT_EQ(Json::parse("{}\0{"sv), Json::object()) << "this is why: the parser stops at it";
  for (const auto text : {"{}\0{"sv, "\0"sv, "{\"a\": \"\0\"}"sv, "\"\\\0"sv}) expect_refused(text, "NUL byte");
}

TEST(JsonText, DepthHasALimit) {
  EXPECT_NO_THROW(check_json_text(nested(500), "a.json"));
  expect_refused(nested(501), "deeply");
  expect_refused("{\"a\":" + nested(500) + "}", "deeply");
  expect_refused(std::string(1'000'000, '['), "deeply");
}

TEST(JsonText, BracketsInStringsDoNotCount) {
  EXPECT_NO_THROW(check_json_text("\"" + std::string(1000, '[') + "\\\"" + std::string(1000, '{') + "\"", "a.json"));
  EXPECT_NO_THROW(check_json_text("[\"\\\\\"" + std::string("]"), "a.json"));
  expect_refused("\"\\\\\"" + std::string(501, '['), "deeply");
}

TEST(JsonText, WideIsNotDeep) {
  std::string wide = "[";
  for (int i = 0; i < 10'000; ++i) wide += "[{}],";
  EXPECT_NO_THROW(check_json_text(wide + "1]", "a.json"));
}

}  // namespace
}  // namespace cmc
