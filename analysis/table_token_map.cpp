// Coverage of the token maps (paper, section 3.3).
#include "analysis/sample.hpp"
#include "analysis/section.hpp"
#include "analysis/unit_values.hpp"

namespace cmc::analysis {
namespace {

struct Coverage {
  double exact = unknown, inexact = unknown, unmapped = unknown;
};

// The published Mistral-to-Llama-2 map's counts, beside ours where the same map was made.
Coverage published(const std::string& base, const std::string& delta, const std::string& compat) {
  const bool same =
      base.find("istral") != std::string::npos && delta.find("lama") != std::string::npos && compat == "authors";
  return same ? Coverage{24185, 6474, 1341} : Coverage{};
}

}  // namespace

Section token_map_section(const store::Results& results) {
  Section section{
      "token_map", "Token maps", "How a target's vocabulary finds the delta model's tokens (PM-MinED).", {}, {}};
  Table table{"token_map",
              "Coverage of the token maps",
              {{"Target vocabulary"},
               {"Delta vocabulary"},
               {"Method"},
               {"Tokens", "", 0},
               {"Exact", "", 0},
               {"Inexact", "", 0},
               {"Unmapped", "", 0},
               {"Mapped, %", "", 2}},
              {},
              {"Exact: an identical token. Inexact: the prefix-related token with the smallest edit distance. Unmapped "
               "tokens get no shift."}};
  table.key_columns = 3;
  for (const auto& unit : results.units) {
    if (unit.stage != "token_map") continue;
    const double exact = at(numbers(unit, "exact"), 0), inexact = at(numbers(unit, "inexact"), 0),
                 unmapped = at(numbers(unit, "unmapped"), 0);
    const double total = exact + inexact + unmapped;
    const std::string base = text_of(unit.task, "base"), delta = text_of(unit.task, "delta"),
                      compat = text_of(unit.task, "compat");
    const Coverage paper = published(base, delta, compat);
    const std::string method = text_of(unit.task, "method") + (compat == "authors" ? " (as published)" : "");
    table.rows.push_back({base, delta, method, plain_figure(total), Figure{exact, unknown, 0, paper.exact},
                          Figure{inexact, unknown, 0, paper.inexact}, Figure{unmapped, unknown, 0, paper.unmapped},
                          plain_figure(100 * (exact + inexact) / total)});
  }
  sort_by_texts(table);
  if (!table.rows.empty()) section.tables = {std::move(table)};
  return section;
}

}  // namespace cmc::analysis
