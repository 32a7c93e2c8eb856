#include "pipeline/text/bpe_model.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "pipeline/core/random.hpp"

namespace cmc::text {
namespace {

using Merges = std::vector<std::pair<std::string, std::string>>;

// The definition itself, quadratic: merge the leftmost pair of least rank until none is left.
std::vector<std::string> merge_naively(std::vector<std::string> parts, const Merges& merges) {
  for (;;) {
    size_t best_rank = merges.size(), best_at = 0;
    for (size_t at = 0; at + 1 < parts.size(); ++at)
      for (size_t rank = 0; rank < best_rank; ++rank)
        if (merges[rank] == std::pair{parts[at], parts[at + 1]}) best_rank = rank, best_at = at;
    if (best_rank == merges.size()) return parts;
    parts[best_at] += parts[best_at + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best_at) + 1);
  }
}

TokenizerFile file_of(const std::set<std::string>& pieces, const Merges& merges) {
  TokenizerFile file;
  file.name = "test";
  file.rest = {{"model", {{"type", "BPE"}}}};
  for (const auto& piece : pieces) file.vocabulary.emplace_back(piece, static_cast<int32_t>(file.vocabulary.size()));
  file.merges = merges;
  return file;
}

TEST(BpeModel, EqualsTheDefinitionOnRandomMerges) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    std::set<std::string> pieces = {"a", "b", "c"};
    Merges merges;
    std::set<std::pair<std::string, std::string>> seen;
    const uint64_t wanted = 1 + random.below(12);
    for (uint64_t i = 0; i < wanted; ++i) {
      const auto pick = [&] {
        return *std::next(pieces.begin(), static_cast<std::ptrdiff_t>(random.below(pieces.size())));
      };
      const std::pair pair{pick(), pick()};
      if (!seen.insert(pair).second) continue;
      merges.push_back(pair);
      pieces.insert(pair.first + pair.second);
    }
    const BpeModel model(file_of(pieces, merges));
    for (int word_number = 0; word_number < 20; ++word_number) {
      std::string word;
      std::vector<std::string> letters;
      for (uint64_t i = random.below(30); i > 0; --i) letters.emplace_back(1, static_cast<char>('a' + random.below(3)));
      for (const auto& letter : letters) word += letter;
      std::vector<int32_t> ids;
      model.encode(word, ids);
      std::vector<std::string> made;
      for (const int32_t id : ids) made.push_back(model.pieces()[static_cast<size_t>(id)]);
      ASSERT_EQ(made, merge_naively(letters, merges)) << "seed " << seed << ", word " << word;
    }
  }
}

TEST(BpeModel, LongWordsTakeNoQuadraticTime) {
  const BpeModel model(file_of({"a", "aa", "aaaa"}, {{"a", "a"}, {"aa", "aa"}}));
  std::vector<int32_t> ids;
  model.encode(std::string(1 << 20, 'a'), ids);  // a quadratic merge would take hours
  EXPECT_EQ(ids.size(), size_t{1} << 18);
}

TEST(BpeModel, OfAPairListedTwiceTheLaterRankCounts) {
  const BpeModel model(file_of({"a", "b", "c", "ab", "bc"}, {{"a", "b"}, {"b", "c"}, {"a", "b"}}));
  std::vector<int32_t> ids;
  model.encode("abc", ids);
  EXPECT_EQ(ids, (std::vector<int32_t>{model.id_of("a"), model.id_of("bc")}));
}

}  // namespace
}  // namespace cmc::text
