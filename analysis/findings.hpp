#pragma once
#include <string>
#include <vector>

#include "analysis/contrast.hpp"
#include "analysis/record.hpp"
#include "analysis/table.hpp"

namespace cmc::analysis {

// Whether the paper's effects are in these results. Computed from the measurements by fixed rules, never asserted:
//   * a figure rises (falls) where every seed's mean does and a paired bootstrap over the items of all seeds gives
//     p < 0.01 (many figures are looked at); with fewer than 8 items nothing is said, for even unanimous ones could not
//     reach that in a sign test;
//   * what was unlearned comes back where it rises so, and at least a fifth of the way to the target alone;
//   * a figure stays where it keeps at least 80 % of its baseline;
//   * of one that moves neither way (p >= 0.01) it cannot be told where so few items would not have shown an effect
//     of a fifth of the baseline (of shares at least ten points; of what comes back: a fifth of the way);
//   * CMC is judged at the measured strength nearest to 1, the paper's, for instructions at the one that makes the
//     answers of the choice part likeliest, where there is one; of several deltas the first of the experiment:
//     for instructions a sweep's other sizes and epochs stand in tables, those that unlearn otherwise have a finding of
//     their own.
enum class Verdict { not_measured, absent, undecided, in_part, appears };
std::string words(Verdict verdict);  // "does not appear"

// What one target or pair of models shows.
struct Evidence {
  std::string on;  // "gemma + tiny, α 1"
  bool other_vocabulary = false;
  std::vector<Contrast> contrasts = {};
  // appears: all hold; in_part: some rise or fall as claimed; undecided: none does, and of one it cannot be told
  Verdict verdict() const;
};

struct Finding {
  std::string effect;  // "Instructions: …"
  std::string unit;    // what `evidence` counts: "steered target", "pair"
  std::vector<Evidence> evidence = {};
  Verdict verdict() const;      // over the evidence that was measured
  std::string summary() const;  // "appears: 3 of 3 steered targets, 1 of 1 of another vocabulary"
};

// What the objective promises, responses, instructions, unlearning (and by deltas compared with the first, where there
// are), what comes back under each stress test, similar logit shifts.
std::vector<Finding> find_effects(const Record& record);

// "small + tiny, α 1: Strict, % 0.0 → 63.3 (+63.3 ± 8.9, n = 30, p < 0.001): appears"
std::string sentence(const Evidence& evidence);
std::string to_text(const std::vector<Finding>& findings);
std::string summaries(const std::vector<Finding>& findings);  // the same without evidence
Table findings_table(const std::vector<Finding>& findings);

inline constexpr char findings_rule[] =
    "A figure rises or falls where every seed's mean does and a paired bootstrap over items gives p < 0.01; it stays "
    "where it keeps at least 80 % of its baseline; what was unlearned comes back where it rises a fifth of the way to "
    "the target alone. Where nothing moves, it cannot be told if a move of a fifth of the baseline (ten points of a "
    "share, a fifth of the way) would be seen in less than four of five such runs. CMC: at the strength that makes the "
    "answers of the choice part likeliest, else nearest to 1.";

}  // namespace cmc::analysis
