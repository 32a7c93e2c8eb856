#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cmc::text {

// SentencePiece's compiled normalisation ("precompiled_charsmap": a double-array trie and the texts it leads to),
// applied as the tokenizers library does: to a short grapheme cluster as a whole, otherwise to each character; of
// several entries that begin there the shortest counts.
class CharacterMap {
 public:
  // Throws BadData naming `where` for bytes that are no such map.
  CharacterMap(std::string_view bytes, const std::string& where);

  std::string normalized(std::string_view text) const;

 private:
  const char* find(std::string_view text) const;  // what `text`, or a beginning of it, becomes; nullptr: itself

  std::vector<uint32_t> units_;  // of the trie
  std::string texts_;            // each ends with a NUL
};

}  // namespace cmc::text
