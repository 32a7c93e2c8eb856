#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cmc::token_map {

// Texts of a vocabulary, sorted, to answer PM-MinED's questions. Since one of two strings is a prefix of the other,
// their edit distance is the difference of their lengths in code points.
class PrefixIndex {
 public:
  // `texts[id]` is valid UTF-8; nothing leaves the id out.
  explicit PrefixIndex(const std::vector<std::optional<std::string>>& texts);

  // Smallest id with exactly this text; -1: none. O(length · log V).
  int32_t exact(std::string_view text) const;

  // The nearest other text that is a prefix of `text` or has it as prefix; the smallest id among equals; -1: none.
  // A lone space stands only for texts of nothing but spaces. O(length² + length · log V).
  int32_t nearest(std::string_view text) const;

  // All other texts that are a prefix of `text` or have it as prefix, under the same rule for the lone space: their
  // ids, ascending; of equal texts each. O(length² + length · log V + candidates).
  std::vector<int32_t> related(std::string_view text) const;

  // All texts that begin with `text`, equal ones included: their ids, ascending; none for an empty text.
  // O(length · log V + answers).
  std::vector<int32_t> beginning_with(std::string_view text) const;

 private:
  struct Entry {
    std::string text;
    int32_t length;  // code points
    int32_t id;
  };
  struct Candidate {
    int32_t distance, id;
    bool operator<(const Candidate& other) const {
      return distance != other.distance ? distance < other.distance : id < other.id;
    }
  };

  size_t lower_bound(std::string_view text) const;
  size_t end_of_prefix(std::string_view prefix, size_t from) const;
  size_t end_of_equals(std::string_view text, size_t from) const;
  const Entry* shortest_in(size_t begin, size_t end) const;

  std::vector<Entry> entries_;                   // by text, then id
  std::vector<std::vector<uint32_t>> shortest_;  // [log2 width][start]: entry of least (length, id) in the range
};

}  // namespace cmc::token_map
