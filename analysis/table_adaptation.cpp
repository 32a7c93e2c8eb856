// What adapting several targets costs: a training for each of them, or one delta for all (the paper's argument).
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "analysis/section.hpp"

namespace cmc::analysis {
namespace {

// What trainings cost; NaN where one of them did not record it.
struct TrainingCost {
  double wall = 0, tokens = 0, flops = 0, bytes = 0;  // bytes: the largest
  void add(const store::Cost& cost) {
    const auto known = [](std::optional<double> value) { return value.value_or(unknown); };
    wall += known(cost.wall_seconds);
    tokens += known(cost.tokens);
    flops += known(cost.flops);
    const double peak = known(cost.peak_bytes);
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
  TrainingCost cost;
};
using Adaptations = std::map<Way, Adaptation>;

// The seed's own units, and those that stand for all.
template <class Take>
void each_unit(const Record& record, std::optional<int64_t> seed, Take take) {
  for (const auto& unit : record.results().units) {
    const auto mine = record.seed_of(unit);
    if (!seed || !mine || mine == seed) take(unit, records::labels_of(unit.stage, unit.task, records::where_of(unit)));
  }
}

void add_training(const store::Unit& unit, const records::TaskLabels& labels, Adaptations& ways) {
  if ((unit.stage != "adapt" && unit.stage != "train") || !records::find_named<records::Purpose>(labels.purpose))
    return;
  Adaptation& adaptation = ways[{labels.purpose, std::string(name_of(labels.system.method)), labels.system.delta}];
  ++adaptation.trainings;
  adaptation.cost.add(unit.cost);
  if (labels.system.delta.empty()) adaptation.targets.insert(labels.system.target);
}

// The targets that a delta steers, from what was evaluated.
void add_target(const store::Unit& unit, const records::TaskLabels& labels, Adaptations& ways) {
  if (!records::find_named<records::Purpose>(unit.stage) || !labels.system.adds_delta()) return;
  const auto found = ways.find({unit.stage, std::string(name_of(labels.system.method)), labels.system.delta});
  if (found != ways.end()) found->second.targets.insert(labels.system.target);
}

// What one seed's adaptations cost, by way: targets, trainings, their sums, then what each further target costs.
// `map`: mean wall seconds of a token map, which is all that a delta needs for a further target of another vocabulary.
std::vector<double> figures_of(const Way& way, const Adaptation& adaptation, double map) {
  const double tera = 1e12;
  const auto targets = static_cast<double>(adaptation.targets.size());
  const auto each = [&](double total) { return targets > 0 ? total / targets : unknown; };
  const TrainingCost& cost = adaptation.cost;
  std::vector<double> figures{targets > 0 ? targets : unknown,
                              static_cast<double>(adaptation.trainings),
                              cost.wall,
                              cost.tokens,
                              cost.flops / tera,
                              cost.bytes / (1 << 30)};
  if (way.delta.empty())
    figures.insert(figures.end(),
                   {each(adaptation.trainings), each(cost.wall), each(cost.tokens), each(cost.flops / tera)});
  else
    figures.insert(figures.end(), {0, map, 0, 0});
  return figures;
}

std::map<Way, std::vector<double>> measure(const Record& record, std::optional<int64_t> seed) {
  Adaptations ways;
  std::vector<double> map_seconds;
  each_unit(record, seed, [&](const auto& unit, const auto& labels) {
    add_training(unit, labels, ways);
    if (unit.stage == "token_map") map_seconds.push_back(unit.cost.wall_seconds.value_or(unknown));
  });
  each_unit(record, seed, [&](const auto& unit, const auto& labels) { add_target(unit, labels, ways); });
  const double map = map_seconds.empty() ? 0 : records::mean_figure(map_seconds).value;
  std::map<Way, std::vector<double>> figures;
  for (const auto& [way, adaptation] : ways) figures[way] = figures_of(way, adaptation, map);
  return figures;
}

// One figure of every seed, put together.
Figure over_seeds(const std::vector<std::pair<int64_t, std::map<Way, std::vector<double>>>>& seeds, const Way& way,
                  size_t column, OverSeeds rule) {
  records::SeedFigures figures;
  for (const auto& [seed, ways] : seeds)
    if (const auto found = ways.find(way); found != ways.end())
      figures.emplace_back(seed, records::plain_figure(found->second[column]));
  return seeds.size() == 1 && !figures.empty() ? figures.front().second : records::seed_figure(figures, rule);
}

}  // namespace

Section adaptation_section(const Record& record) {
  Section section{"adaptation",
                  "One delta, or a training for each target",
                  "What it costs to adapt the targets of this experiment, and what one more would cost.",
                  {},
                  {}};
  std::vector<std::pair<int64_t, std::map<Way, std::vector<double>>>> seeds;
  if (!record.has_seeds())
    seeds.emplace_back(-1, measure(record, std::nullopt));
  else
    for (const int64_t seed : record.seeds()) seeds.emplace_back(seed, measure(record, seed));
  std::set<Way> ways;
  for (const auto& [seed, found] : seeds)
    for (const auto& [way, figures] : found) ways.insert(way);
  if (ways.empty()) return section;
  const std::string further = "Each further target";
  Table table{"adaptation",
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
              record.has_seeds() ? errors_over_seeds(record)
                                 : "Sums over the trainings, peak memory the largest; – where one of them did not "
                                   "record it. Single measurements."};
  for (const Way& way : ways) {
    auto& row = table.rows.emplace_back(
        std::vector<Cell>{way.purpose, way.method, way.delta.empty() ? "each target" : way.delta});
    for (size_t column = table.key_columns; column < table.columns.size(); ++column)
      row.emplace_back(over_seeds(seeds, way, column - table.key_columns, table.columns[column].over_seeds));
  }
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
