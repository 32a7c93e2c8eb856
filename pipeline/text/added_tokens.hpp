#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "pipeline/core/json.hpp"

namespace cmc::text {

// A token beside the model's own: matched in the text before the model sees it.
struct AddedToken {
  std::string content;
  bool special = false;                          // left out when decoding skips special tokens
  bool normalized = false;                       // matched in the normalised text, not in the given one
  bool single_word = false;                      // only where no word character touches it
  bool left_strip = false, right_strip = false;  // takes the white space beside it along
  bool operator==(const AddedToken&) const = default;
};

// {"content", "special", "normalized" (unless special), "single_word", "lstrip", "rstrip"}; flags may be absent.
// Throws BadData naming the field.
AddedToken read_added_token(const Json& entry, const std::string& where);

// A tokenizer.json's "added_tokens" in their order, with the ids they name. Throws BadData naming the field.
std::vector<std::pair<int32_t, AddedToken>> read_added_tokens(const Json& list, const std::string& where);

// Finds tokens in a text: the leftmost first, of those that start there the longest. O(text × longest token) at worst.
class AddedTokenMatcher {
 public:
  enum class Matching { token, text };  // text: found, which hides other tokens there, and left as it is
  struct Section {
    std::string_view text;
    int32_t id = -1;  // -1: plain text
  };

  // `written`: what is looked for, not empty. Of two that look for the same the first counts.
  void add(const AddedToken& token, int32_t id, std::string_view written, Matching matching = Matching::token);
  // Covers `text` from left to right; no section is empty plain text.
  std::vector<Section> split(std::string_view text) const;

 private:
  struct Flags {
    int32_t id = -1;
    bool single_word = false, left_strip = false, right_strip = false, ignored = false;
  };
  // Token that starts at `at`, its end in `end`; nullptr: none.
  const Flags* longest_at(std::string_view text, size_t at, size_t& end) const;

  std::vector<Flags> ends_{Flags{}};                   // by trie node; id -1: no token ends here
  std::unordered_map<uint64_t, uint32_t> edges_;       // node << 8 | byte -> node
  std::vector<bool> starts_ = std::vector<bool>(256);  // bytes that begin some token
};

}  // namespace cmc::text
