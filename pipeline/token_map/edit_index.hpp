#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cmc::token_map {

// Texts of a vocabulary, to find the one of smallest Levenshtein distance in code points: MinED (Wan et al. 2024),
// which asks for no common prefix.
class EditIndex {
 public:
  // `texts[id]` is valid UTF-8; nothing leaves the id out.
  explicit EditIndex(const std::vector<std::optional<std::string>>& texts);

  // The nearest text that shares something with `text` (a distance below the length of the longer); the smallest id
  // among equals; -1: none. O(V) times the length in the worst case; most of V is ruled out by length and by letters.
  int32_t nearest(std::string_view text) const;

 private:
  struct Entry {
    std::u32string text;
    uint64_t letters;  // a bit for each code point, by its remainder
    int32_t id;
  };
  std::map<int64_t, std::vector<Entry>> by_length_;  // code points → by id
};

// Levenshtein distance; any number above `most` where it is above.
int64_t edit_distance(std::u32string_view a, std::u32string_view b, int64_t most);

}  // namespace cmc::token_map
