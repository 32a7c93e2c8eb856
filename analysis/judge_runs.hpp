#pragma once
#include <compare>
#include <map>
#include <string>

#include "analysis/systems.hpp"

namespace cmc::analysis {

// Who judged responses, and what they were compared with.
struct Judge {
  std::string model;     // "smollm2"
  std::string against;   // "reference" (the data file's outputs) or "vanilla" (the target alone)
  std::string baseline;  // whose outputs these are: "text_davinci_003", "vanilla"
  auto operator<=>(const Judge&) const = default;
};

// Probabilities that a system's response is better than the baseline's. NaN: not judged.
struct Judgement {
  double better = unknown;        // mean of both orders
  double shown_first = unknown;   // the response read first
  double shown_second = unknown;  // the response read second
  double any_verdict = unknown;   // that the judge gives a verdict at all

  // 1 the response wins, 0 it loses, ½ a tie; unknown where it was not judged.
  double win() const;
  // How likely the judge prefers what it reads first, whichever response that is: ½ without a liking for a place.
  double first_preferred() const { return (shown_first + 1 - shown_second) / 2; }
  // 1: both orders prefer the same response; 0: the place decides.
  double consistent() const;
};
using JudgeRuns = std::map<System, std::map<int64_t, Judgement>>;  // system → item → judgement

// By judge. Where the experiment has a judge, every system it is to judge has a row.
std::map<Judge, JudgeRuns> collect_judgements(const store::Results& results);

}  // namespace cmc::analysis
