#pragma once
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/core/random.hpp"

namespace cmc::metrics {

// Instructions whose fulfilment a program can check, after IFEval (Zhou et al. 2023): a judge that needs no network.

enum class Rule {
  starts_with,      // words[0] as a whole word; case ignored
  ends_with,        // words[0] as a whole word; case and the punctuation after it ignored
  ends_properly,    // last character is . ! ? or one of these and a closing quote or bracket: not cut off
  word_count,       // `count` words
  sentence_count,   // `count` sentences: stretches of text with a letter or digit, closed by . ! ? and a space or the
                    // end
  bullet_count,     // `count` lines that begin with "- " or "* ", indented or not
  paragraph_count,  // `count` stretches between blank lines
  contains_all,     // every one of words, as whole words; case ignored
  contains_none,    // none of words, as whole words; case ignored
  lower_case,       // at least one ASCII letter, none upper
  upper_case,       // at least one ASCII letter, none lower
  json,             // one JSON value, alone or in a ``` fence
  quoted,           // begins and ends with a double quote
  said_twice,       // the same text twice, white space aside
};

// Both ends belong to it.
struct CountRange {
  size_t least = 0;
  size_t most = std::numeric_limits<size_t>::max();
};

struct Instruction {
  Rule rule = Rule::ends_properly;
  std::vector<std::string> words = {};  // for starts_with, ends_with, contains_all, contains_none; else unused
  CountRange count = {};                // for the four counts; else unused
};

// "bullet_count" and so on, for tables and files; and back (throws BadData naming the known ones).
std::string_view name_of(Rule rule);
Rule rule_of(std::string_view name);

// The sentence that asks a model for it: "Answer with exactly 3 bullet points, each a line that begins with \"- \".".
std::string request(const Instruction& instruction);

// Whether `response` fulfils it; white space at the ends is ignored, an empty response fulfils nothing. Throws BadData
// when the instruction lacks what its rule needs (words, a range that is not empty).
bool follows(const Instruction& instruction, std::string_view response);

// One of the rules above with sensible values, the same for the same state of `random`.
Instruction draw_instruction(Random& random);

}  // namespace cmc::metrics
