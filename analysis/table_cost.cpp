// What the results cost: time, tokens, memory by stage and target.
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "analysis/section.hpp"

namespace cmc::analysis {
namespace {

// Sum and maximum over the units that recorded a value; NaN where none did.
struct Tally {
  double sum = unknown, most = unknown;
  void add(std::optional<double> value) {
    if (!value) return;
    sum = std::isnan(sum) ? *value : sum + *value;
    most = std::isnan(most) ? *value : std::max(most, *value);
  }
};

struct StageCost {
  int units = 0;
  Tally wall, estimated, device, tokens, timed_tokens, flops, bytes;

  void add(const store::Cost& cost) {
    ++units;
    wall.add(cost.wall_seconds);
    estimated.add(cost.estimated_seconds);
    device.add(cost.device_seconds);
    flops.add(cost.flops);
    tokens.add(cost.tokens);
    if (cost.tokens) timed_tokens.add(cost.wall_seconds);
    bytes.add(cost.peak_bytes);
  }
};

std::vector<Cell> row_of(const std::string& stage, const std::string& target, const StageCost& cost) {
  return {stage,
          target,
          records::plain_figure(cost.units),
          records::plain_figure(cost.wall.sum),
          records::plain_figure(cost.wall.most),
          records::plain_figure(cost.estimated.sum),
          records::plain_figure(cost.device.sum),
          records::plain_figure(cost.tokens.sum),
          records::plain_figure(cost.tokens.sum / cost.timed_tokens.sum),
          records::plain_figure(cost.flops.sum / 1e12),
          records::plain_figure(cost.bytes.most / (1 << 30))};
}

}  // namespace

Section cost_section(const Record& record) {
  Section section{"cost",
                  "Cost",
                  "What the results in this file took to compute; units run side by side on several ranks.",
                  {},
                  {}};
  std::map<std::pair<std::string, std::string>, StageCost> costs;
  StageCost total;
  for (const auto& unit : record.results().units) {
    const auto system = records::labels_of(unit.stage, unit.task, records::where_of(unit)).system;
    costs[{unit.stage, system.target.empty() ? system.delta : system.target}].add(unit.cost);
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
