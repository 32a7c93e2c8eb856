#pragma once
#include <string>
#include <vector>

#include "pipeline/text/pattern.hpp"

namespace cmc::text {

// What becomes of a match that divides a word (tokenizers' SplitDelimiterBehavior), for "the-final--countdown" cut at
// "-":
enum class SplitBehavior {
  removed,               // the final countdown
  isolated,              // the - final - - countdown
  merged_with_previous,  // the- final- - countdown
  merged_with_next,      // the -final - -countdown
  contiguous,            // the - final -- countdown
};

SplitBehavior split_behavior(const std::string& name, const std::string& where);  // throws BadData naming `where`

// What the matches are: what divides (usual), or what is kept ("invert").
enum class Matched { delimiters, words };

// Appends the parts of `word` to `parts`; `matches` are relative to its start, ascending. Empty parts are left out.
void split_word(const Span& word, const std::vector<Span>& matches, Matched matched, SplitBehavior behavior,
                std::vector<Span>& parts);

}  // namespace cmc::text
