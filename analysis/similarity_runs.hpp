#pragma once
#include <map>
#include <string>
#include <vector>

#include "analysis/record.hpp"

namespace cmc::analysis {

// Two models whose logit shifts are compared at the reference's most probable tokens (paper, section 2).
struct ShiftPair {
  std::string reference;
  System system;  // the other, by how both were fine-tuned
  auto operator<=>(const ShiftPair& other) const = default;
  std::string set() const { return records::shift_set(reference); }
};
std::string describe(const ShiftPair& pair);  // "llama and mistral (full)"

// Those with values, in their order.
std::vector<ShiftPair> shift_pairs(const Record& record);

// Shifts on one prompt, [step][token], tokens of a step by falling probability under the reference.
struct ShiftMatrices {
  std::vector<std::vector<double>> reference, same, different;
};
// Of each pair's first prompt, in the first seed.
std::map<ShiftPair, ShiftMatrices> first_shifts(const Record& record);

}  // namespace cmc::analysis
