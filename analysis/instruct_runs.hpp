#pragma once
#include <map>
#include <string>

#include "analysis/systems.hpp"

namespace cmc::analysis {

// One AlpacaEval prompt as one system answered it. NaN: not measured.
struct InstructAnswer {
  double reference_per_token = unknown;  // log-probability of the reference answer / its tokens (nat)
  double stopped = unknown;              // 1 it ended by itself, 0 the length limit did
  double repetition = unknown;           // share of 4-grams that occurred before
  double length = unknown;               // new tokens
  double followed = unknown;             // 1: has the form its prompt asks for
  double fact = unknown;                 // 1: names the right fact
  std::string prompt, response;

  // 1: followed, with the right fact, and ended by itself; unknown where one of the three is.
  double strict() const;
};
using InstructRuns = std::map<System, std::map<int64_t, InstructAnswer>>;  // system → item → answer

// `prompts`: "plain", or "checked" (AlpacaEval's, each with an instruction that a rule can check).
InstructRuns collect_instruct(const store::Results& results, const std::string& prompts);

}  // namespace cmc::analysis
