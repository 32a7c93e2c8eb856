// What adapting several targets costs: a training for each of them, or one delta for all (the paper's argument).
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "analysis/sample.hpp"
#include "analysis/section.hpp"
#include "analysis/unit_values.hpp"

namespace cmc::analysis {
namespace {

// What trainings cost; NaN where one of them did not record it.
struct Cost {
  double wall = 0, tokens = 0, flops = 0, bytes = 0;  // bytes: the largest
  void add(const Json& cost) {
    wall += number_of(cost, "wall_seconds");
    tokens += number_of(cost, "tokens");
    flops += number_of(cost, "flops");
    const double peak = number_of(cost, "peak_bytes");
    bytes = std::isnan(peak) || std::isnan(bytes) ? unknown : std::max(bytes, peak);
  }
};

struct Way {
  std::string purpose, method, delta;  // delta: "" where each target is trained itself
  auto operator<=>(const Way&) const = default;
};
struct Adaptation {
  std::set<std::string> targets;
  int trainings = 0;
  Cost cost;
};
using Adaptations = std::map<Way, Adaptation>;

// The method that a trained small model serves.
std::string method_of_role(const std::string& role) {
  if (role == "expert") return "proxy_tuning";
  return role == "offset" ? "delta_unlearning" : "cmc";
}

void add_training(const store::Unit& unit, Adaptations& ways) {
  Way way;
  if (unit.stage == "adapt") way = {text_of(unit.task, "purpose"), text_of(unit.task, "method"), ""};
  if (unit.stage == "train")
    way = {text_of(unit.task, "kind"), method_of_role(text_of(unit.task, "role")), text_of(unit.task, "delta")};
  if (way.purpose != "instruct" && way.purpose != "unlearn") return;
  Adaptation& adaptation = ways[way];
  ++adaptation.trainings;
  adaptation.cost.add(unit.cost);
  if (way.delta.empty()) adaptation.targets.insert(text_of(unit.task, "target"));
}

// The targets that a delta steers, from what was evaluated.
void add_target(const store::Unit& unit, Adaptations& ways) {
  if (unit.stage != "instruct" && unit.stage != "unlearn") return;
  const auto found = ways.find({unit.stage, text_of(unit.task, "method"), text_of(unit.task, "delta")});
  if (found != ways.end() && !found->first.delta.empty()) found->second.targets.insert(text_of(unit.task, "target"));
}

// Mean wall seconds of a token map, which is all that a delta needs for a further target of another vocabulary; 0:
// none.
double map_seconds(const store::Results& results) {
  std::vector<double> seconds;
  for (const auto& unit : results.units)
    if (unit.stage == "token_map") seconds.push_back(number_of(unit.cost, "wall_seconds"));
  return seconds.empty() ? 0 : mean_figure(seconds).value;
}

std::vector<Cell> row_of(const Way& way, const Adaptation& adaptation, double map) {
  const double tera = 1e12;
  const auto targets = static_cast<double>(adaptation.targets.size());
  const auto each = [&](double total) { return plain_figure(targets > 0 ? total / targets : unknown); };
  const Cost& cost = adaptation.cost;
  std::vector<Cell> row{way.purpose,
                        way.method,
                        way.delta.empty() ? "each target" : way.delta,
                        targets > 0 ? plain_figure(targets) : Figure{},
                        plain_figure(adaptation.trainings),
                        plain_figure(cost.wall),
                        plain_figure(cost.tokens),
                        plain_figure(cost.flops / tera),
                        plain_figure(cost.bytes / (1 << 30))};
  if (way.delta.empty())
    row.insert(row.end(), {each(adaptation.trainings), each(cost.wall), each(cost.tokens), each(cost.flops / tera)});
  else
    row.insert(row.end(), {plain_figure(0), plain_figure(map), plain_figure(0), plain_figure(0)});
  return row;
}

}  // namespace

Section adaptation_section(const store::Results& results) {
  Section section{"adaptation",
                  "One delta, or a training for each target",
                  "What it costs to adapt the targets of this experiment, and what one more would cost.",
                  {},
                  {}};
  Adaptations ways;
  for (const auto& unit : results.units) add_training(unit, ways);
  for (const auto& unit : results.units) add_target(unit, ways);
  if (ways.empty()) return section;
  const std::string further = "Each further target";
  Table table{
      "adaptation",
      "Cost of adapting the targets",
      {{"For"},
       {"Method"},
       {"Trained"},
       {"Targets", "", 0, "", OverSeeds::same},
       {"Trainings", "", 0, "", OverSeeds::same},
       {"Wall, s", "", 1},
       {"Tokens", "", 0},
       {"TFLOP", "", 3},
       {"Peak, GiB", "", 2},
       {"Trainings", further, 0, "", OverSeeds::same},
       {"Wall, s", further, 1},
       {"Tokens", further, 0},
       {"TFLOP", further, 3}},
      {},
      {},
      Table::Shown::everywhere,
      3,
      "Sums over the trainings, peak memory the largest; – where one of them did not record it. Single measurements."};
  for (const auto& [way, adaptation] : ways) table.rows.push_back(row_of(way, adaptation, map_seconds(results)));
  table.notes = {
      "A further target costs another training like those of the row; a delta that is trained needs none, only a token "
      "map for another vocabulary (its mean wall time stands here).",
      "Targets of a delta: those evaluated with it. Its training runs the frozen template too, and that is counted. "
      "What all "
      "methods share (pre-training, fine-tuning before unlearning, decoding) is not."};
  section.tables = {std::move(table)};
  return section;
}

}  // namespace cmc::analysis
