#pragma once
#include <functional>
#include <string>
#include <vector>

#include "pipeline/core/json.hpp"
#include "pipeline/text/pattern.hpp"

namespace cmc::text {

// A normalised text and the words it falls into, in order. Words never share bytes; dropped bytes lie in none.
struct Words {
  std::string text;
  std::vector<Span> spans;
  bool at_start = true;  // `text` begins where the whole input begins
};

// Splits (and may rewrite) the words it is given.
using PreTokenizer = std::function<void(Words&)>;

// From the "pre_tokenizer" of a tokenizer.json; null gives one that keeps the text as one word.
// Throws BadData naming the field for a component it does not know.
PreTokenizer read_pre_tokenizer(const Json& description, const std::string& where);

}  // namespace cmc::text
