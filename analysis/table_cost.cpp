// What the results cost: time, tokens, memory by stage and target.
#include <algorithm>
#include <cmath>
#include <map>

#include "analysis/sample.hpp"
#include "analysis/section.hpp"
#include "analysis/unit_values.hpp"

namespace cmc::analysis {
namespace {

// Sum and maximum over the units that recorded a value; NaN where none did.
struct Tally {
  double sum = unknown, most = unknown;
  void add(double value) {
    if (!std::isfinite(value)) return;
    sum = std::isnan(sum) ? value : sum + value;
    most = std::isnan(most) ? value : std::max(most, value);
  }
};

struct Cost {
  int units = 0;
  Tally wall, estimated, device, tokens, timed_tokens, flops, bytes;

  void add(const Json& cost) {
    ++units;
    const double seconds = number_of(cost, "wall_seconds"), count = number_of(cost, "tokens");
    wall.add(seconds);
    estimated.add(number_of(cost, "estimated_seconds"));
    device.add(number_of(cost, "device_seconds"));
    flops.add(number_of(cost, "flops"));
    tokens.add(count);
    if (std::isfinite(count)) timed_tokens.add(seconds);
    bytes.add(number_of(cost, "peak_bytes"));
  }
};

std::vector<Cell> row_of(const std::string& stage, const std::string& target, const Cost& cost) {
  return {stage,
          target,
          plain_figure(cost.units),
          plain_figure(cost.wall.sum),
          plain_figure(cost.wall.most),
          plain_figure(cost.estimated.sum),
          plain_figure(cost.device.sum),
          plain_figure(cost.tokens.sum),
          plain_figure(cost.tokens.sum / cost.timed_tokens.sum),
          plain_figure(cost.flops.sum / 1e12),
          plain_figure(cost.bytes.most / (1 << 30))};
}

}  // namespace

Section cost_section(const store::Results& results) {
  Section section{"cost",
                  "Cost",
                  "What the results in this file took to compute; units run side by side on several ranks.",
                  {},
                  {}};
  std::map<std::pair<std::string, std::string>, Cost> costs;
  Cost total;
  for (const auto& unit : results.units) {
    const std::string target = text_of(unit.task, "target");
    costs[{unit.stage, target.empty() ? text_of(unit.task, "delta") : target}].add(unit.cost);
    total.add(unit.cost);
  }
  if (costs.empty()) return section;
  Table table{"cost",
              "Cost by stage",
              {{"Stage"},
               {"Model"},
               {"Units", "", 0},
               {"Wall, s", "", 1},
               {"Longest unit, s", "", 1},
               {"Planned, s", "", 1},
               {"Device, s", "", 1},
               {"Tokens", "", 0},
               {"Tokens/s", "", 1},
               {"TFLOP", "", 3},
               {"Peak, GiB", "", 2}},
              {},
              {"Wall: sum over units, of all seeds. Planned: what the plan estimated. Tokens/s: over the units that "
               "counted tokens. Peak: largest memory of a process. "
               "Single measurements."}};
  for (const auto& [name, cost] : costs) table.rows.push_back(row_of(name.first, name.second, cost));
  table.rows.push_back(row_of("all", "", total));
  section.tables = {std::move(table)};
  return section;
}

}  // namespace cmc::analysis
