#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/core/json.hpp"

namespace cmc::text {

// Token ids a tokenizer puts around a single text.
struct Surroundings {
  std::vector<int32_t> before, after;
};

// From the "post_processor" of a tokenizer.json; null adds nothing. `size`: ids must be below it.
// Throws BadData naming the field for a component it does not know.
Surroundings read_post_processor(const Json& description, int32_t size, const std::string& where);

}  // namespace cmc::text
