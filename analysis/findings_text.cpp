// Findings in words and as a table.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "analysis/findings.hpp"

namespace cmc::analysis {
namespace {

std::string fixed(double value, int digits, const char* format = "%.*f") {
  char text[64];
  std::snprintf(text, sizeof text, format, digits, value);
  return text;
}

std::string p_text(double p) {
  if (std::isnan(p)) return "too few items to judge";
  return p < 0.001 ? "p < 0.001" : "p = " + fixed(p, 3);
}

std::string text_of(const Contrast& c) {
  const double error = c.difference.by_seed.empty() ? c.difference.standard_error : c.difference.seed_deviation;
  std::string text = c.measure + " " + fixed(c.baseline.value, c.digits) + " → " + fixed(c.measured.value, c.digits) +
                     " (" + fixed(c.difference.value, c.digits, "%+.*f");
  if (!std::isnan(error)) text += " ± " + fixed(error, c.digits);
  text += ", n = " + std::to_string(c.difference.n);
  if (!c.difference.by_seed.empty()) text += " in " + std::to_string(c.difference.by_seed.size()) + " seeds";
  if (c.claim == Claim::stays) return text + (c.holds ? ", stays)" : ", does not stay)");
  if (c.claim == Claim::returns) text += ", " + fixed(100 * c.way_back, 0) + " % of the way back";
  text += ", " + p_text(c.p);
  if (c.is_undecided()) text += ", seen from " + fixed(c.detectable, c.digits) + " on";
  return text + ")";
}

Verdict together(const std::vector<Verdict>& verdicts) {
  const auto count = [&](Verdict verdict) { return static_cast<size_t>(std::ranges::count(verdicts, verdict)); };
  const size_t measured = verdicts.size() - count(Verdict::not_measured);
  if (measured == 0) return Verdict::not_measured;
  if (count(Verdict::appears) == measured) return Verdict::appears;
  if (count(Verdict::appears) + count(Verdict::in_part) > 0) return Verdict::in_part;
  return count(Verdict::undecided) > 0 ? Verdict::undecided : Verdict::absent;
}

std::string share(size_t part, size_t whole) {
  return std::to_string(part) + " of " + std::to_string(whole);
}

}  // namespace

std::string words(Verdict verdict) {
  switch (verdict) {
    case Verdict::appears:
      return "appears";
    case Verdict::in_part:
      return "appears in part";
    case Verdict::absent:
      return "does not appear";
    case Verdict::undecided:
      return "cannot be told with so few items";
    case Verdict::not_measured:
      break;
  }
  return "not measured";
}

Verdict Evidence::verdict() const {
  bool judged = false, moved = false, all = true, open = false;
  for (const Contrast& contrast : contrasts) {
    judged = judged || contrast.judged;
    moved = moved || (contrast.claim != Claim::stays && contrast.holds);
    all = all && contrast.holds;
    open = open || contrast.is_undecided();
  }
  if (!judged) return Verdict::not_measured;
  if (!moved) return open ? Verdict::undecided : Verdict::absent;
  return all ? Verdict::appears : Verdict::in_part;
}

Verdict Finding::verdict() const {
  std::vector<Verdict> verdicts;
  for (const Evidence& one : evidence) verdicts.push_back(one.verdict());
  return together(verdicts);
}

std::string Finding::summary() const {
  size_t measured = 0, shown = 0, others = 0, others_shown = 0;
  for (const Evidence& one : evidence) {
    if (one.verdict() == Verdict::not_measured) continue;
    const bool appears = one.verdict() == Verdict::appears;
    ++measured, shown += appears;
    others += one.other_vocabulary, others_shown += one.other_vocabulary && appears;
  }
  if (measured == 0) return words(Verdict::not_measured);
  std::string text = words(verdict()) + ": " + share(shown, measured) + " " + unit + (measured == 1 ? "" : "s");
  if (others > 0) text += ", " + share(others_shown, others) + " of another vocabulary";
  if (measured < evidence.size()) text += "; " + std::to_string(evidence.size() - measured) + " not measured";
  return text;
}

std::string sentence(const Evidence& evidence) {
  std::string text = evidence.on + (evidence.other_vocabulary ? " (other vocabulary)" : "") + ": ";
  for (const Contrast& contrast : evidence.contrasts) text += text_of(contrast) + "; ";
  return text + words(evidence.verdict());
}

std::string to_text(const std::vector<Finding>& findings) {
  std::string text = "Findings\n";
  for (const Finding& finding : findings) {
    text += wrapped(finding.effect + " — " + finding.summary());
    for (const Evidence& evidence : finding.evidence) text += wrapped("  " + sentence(evidence));
  }
  return text + wrapped(findings_rule);
}

std::string summaries(const std::vector<Finding>& findings) {
  std::string text = "Findings\n";
  for (const Finding& finding : findings) text += wrapped(finding.effect + " — " + finding.summary());
  return text + wrapped(findings_rule);
}

Table findings_table(const std::vector<Finding>& findings) {
  Table table{"findings",
              "Findings",
              {{"Effect"},
               {"On"},
               {"Verdict"},
               {"Measure"},
               {"Baseline"},
               {"Measured"},
               {"Difference"},
               {"Seen from"},
               {"p", "", 3, "", OverSeeds::largest},
               {"Claim"}},
              {},
              {findings_rule,
               "Baseline: the target alone; beside a control, the target steered by it; of robustness, the steered "
               "target asked as usual; of logit shifts, the other model fine-tuned on different data. p: two-sided, "
               "paired bootstrap over the items of all seeds. Seen from: the smallest difference that so many items "
               "show with p < 0.01 in four of five runs."},
              Table::Shown::folded};
  table.errors = "Means over n items ± standard error; with several seeds means over them ± sample standard deviation.";
  const auto claim = [](const Contrast& c) -> std::string {
    const std::string name = c.claim == Claim::rises     ? "rises"
                             : c.claim == Claim::falls   ? "falls"
                             : c.claim == Claim::returns ? "returns"
                                                         : "stays";
    return name + (!c.judged ? ": too few items" : c.holds ? ": yes" : c.is_undecided() ? ": cannot be told" : ": no");
  };
  for (const Finding& finding : findings) {
    if (finding.evidence.empty())
      table.rows.push_back(
          {finding.effect, "", words(Verdict::not_measured), "", Figure{}, Figure{}, Figure{}, Figure{}, Figure{}, ""});
    for (const Evidence& evidence : finding.evidence) {
      const std::vector<Cell> lead{finding.effect, evidence.on, words(evidence.verdict())};
      if (evidence.contrasts.empty()) {
        table.rows.push_back(lead);
        table.rows.back().insert(table.rows.back().end(), {"", Figure{}, Figure{}, Figure{}, Figure{}, Figure{}, ""});
      }
      for (const Contrast& c : evidence.contrasts) {
        table.rows.push_back(lead);
        table.rows.back().insert(table.rows.back().end(),
                                 {c.measure, c.baseline, c.measured, c.difference, records::plain_figure(c.detectable),
                                  records::plain_figure(c.p), claim(c)});
      }
    }
  }
  return table;
}

}  // namespace cmc::analysis
