#include "pipeline/fusion/prefix_forest.hpp"

#include <gtest/gtest.h>

#include <set>

#include "pipeline/core/random.hpp"

namespace cmc::fusion {
namespace {

std::vector<int32_t> path_to(const PrefixForest& forest, int64_t node) {
  std::vector<int32_t> ids;
  for (; node >= 0; node = forest.parents()[static_cast<size_t>(node)])
    ids.insert(ids.begin(), static_cast<int32_t>(forest.tokens()[static_cast<size_t>(node)]));
  return ids;
}

}  // namespace

TEST(PrefixForest, AnEmptySequenceHasNoNode) {
  PrefixForest forest;
  EXPECT_EQ(forest.add({}), -1);
  EXPECT_EQ(forest.size(), 0);
}

TEST(PrefixForest, HoldsEachPrefixOnceAndFindsEverySequence) {
  Random random(3);
  for (int round = 0; round < 20; ++round) {
    PrefixForest forest;
    std::vector<std::vector<int32_t>> sequences;
    std::vector<int64_t> nodes;
    std::set<std::vector<int32_t>> prefixes;
    for (int s = 0; s < 30; ++s) {
      std::vector<int32_t> ids;
      for (uint64_t i = random.below(12); i > 0; --i) ids.push_back(static_cast<int32_t>(random.below(3)));
      nodes.push_back(forest.add(ids));
      sequences.push_back(ids);
      for (; !ids.empty(); ids.pop_back()) prefixes.insert(ids);
    }
    EXPECT_EQ(forest.size(), static_cast<int64_t>(prefixes.size()));
    for (size_t s = 0; s < sequences.size(); ++s) EXPECT_EQ(path_to(forest, nodes[s]), sequences[s]);
  }
}

TEST(PrefixForest, TheMaskHoldsAncestorsAndSelfOnly) {
  PrefixForest forest;
  for (const std::vector<int32_t>& ids : std::vector<std::vector<int32_t>>{{1, 2, 3}, {1, 2, 4, 5}, {6}, {1, 2, 3, 7}})
    forest.add(ids);
  const auto mask = forest.mask();
  const auto n = static_cast<size_t>(forest.size());
  for (size_t i = 0; i < n; ++i) {
    std::set<size_t> ancestors;
    for (auto node = static_cast<int64_t>(i); node >= 0; node = forest.parents()[static_cast<size_t>(node)])
      ancestors.insert(static_cast<size_t>(node));
    EXPECT_EQ(static_cast<size_t>(forest.positions()[i]) + 1, ancestors.size());
    for (size_t j = 0; j < n; ++j) EXPECT_EQ(mask[i * n + j] == 1, ancestors.contains(j)) << i << " " << j;
  }
}

}  // namespace cmc::fusion
