#pragma once
#include <functional>
#include <string>

#include "pipeline/core/json.hpp"

namespace cmc::text {

// Rewrites a text (valid UTF-8, not empty) in place before it is split.
using Normalizer = std::function<void(std::string&)>;

// From the "normalizer" of a tokenizer.json; null gives one that changes nothing.
// Throws BadData naming the field for a component it does not know.
Normalizer read_normalizer(const Json& description, const std::string& where);

}  // namespace cmc::text
