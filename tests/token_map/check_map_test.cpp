#include "pipeline/token_map/check_map.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/core/error.hpp"

namespace cmc::token_map {
namespace {

TokenMap good() {
  return {{{2}, {-1}, {0}}, {Match::exact, Match::unmapped, Match::inexact}, 3, {}, {}};
}

void expect_refused(const TokenMap& map, const std::string& named) {
  try {
    check_map(map, "unit.h5");
    FAIL() << "was accepted: " << named;
  } catch (const BadData& error) {
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("unit.h5"), testing::HasSubstr(named)));
  }
}

TEST(CheckMap, AWholeMapPasses) {
  EXPECT_NO_THROW(check_map(good(), "unit.h5"));
}

TEST(CheckMap, WhatWouldLeaveTheVocabularyIsRefused) {
  TokenMap map = good();
  map.ids[2] = {3};
  expect_refused(map, "base token 2 has the id 3");
  map = good();
  map.ids[0] = {-2};
  expect_refused(map, "base token 0 has the id -2");
  map = good();
  map.delta_size = 0;
  expect_refused(map, "0 tokens");
}

TEST(CheckMap, IdsAndMatchesBelongTogether) {
  TokenMap map = good();
  map.match.pop_back();
  expect_refused(map, "3 ids and 2 matches");
  map = good();
  map.match[1] = Match::exact;
  expect_refused(map, "base token 1");
  map = good();
  map.match[0] = static_cast<Match>(7);
  expect_refused(map, "unknown match 7");
  expect_refused({{}, {}, 5, {}, {}}, "0 ids");
}

TEST(CheckMap, CandidatesAreCutByOffsets) {
  TokenMap map = good();
  map.candidates = {{2}, {0}, {1}};
  map.offsets = {0, 1, 1, 3};
  EXPECT_NO_THROW(check_map(map, "unit.h5"));
  for (const std::vector<int64_t>& wrong :
       {std::vector<int64_t>{0, 1, 3}, {0, 2, 1, 3}, {1, 1, 1, 3}, {0, 1, 1, 4}, {}}) {
    map.offsets = wrong;
    expect_refused(map, "offsets");
  }
  map.offsets = {0, 1, 1, 3};
  map.candidates[2] = {3};
  expect_refused(map, "candidate outside");
}

}  // namespace
}  // namespace cmc::token_map
