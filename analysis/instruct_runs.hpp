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
  std::string prompt, response;
};
using InstructRuns = std::map<System, std::map<int64_t, InstructAnswer>>;  // system → item → answer

InstructRuns collect_instruct(const store::Results& results);

}  // namespace cmc::analysis
