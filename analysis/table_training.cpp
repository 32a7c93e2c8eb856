// What was trained: losses from the first steps to the last, and speed.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>

#include "analysis/section.hpp"
#include "analysis/strength_plot.hpp"
#include "analysis/systems.hpp"

namespace cmc::analysis {
namespace {

// What a model was trained for, and as what: "instruct", "instruct (expert)", "unlearn (lora)", "prepare (retain)".
std::string kind_of(const std::string& set) {
  return set.substr(records::training_prefix.size());
}

std::string subject_of(const System& system) {
  if (!system.adds_delta()) return system.target;
  return system.target.empty() ? system.delta : system.target + " + " + system.delta;  // adapters beside the delta
}

std::string file_name(const std::string& text) {
  std::string name;
  for (const char c : text)
    if (std::isalnum(static_cast<unsigned char>(c)))
      name += c;
    else if (!name.empty() && name.back() != '_')
      name += '_';
  while (!name.empty() && name.back() == '_') name.pop_back();
  return name;
}

// Curves by name; of each step the losses by seed.
using Curves = std::map<std::string, std::map<double, records::SeedFigures>>;

void take_curve(Curves& curves, const std::string& name, int64_t seed, const std::vector<records::StepRow>& steps,
                double (*loss)(const records::StepRow&)) {
  for (size_t i = 0; i < steps.size(); ++i)
    curves[name][static_cast<double>(i + 1)].emplace_back(seed, records::plain_figure(loss(steps[i])));
}

Series series_of(const std::string& name, const std::map<double, records::SeedFigures>& points, bool over_seeds) {
  Series series{name, {}, {}};
  for (const auto& [x, figures] : points) {
    if (over_seeds) {
      add_point(series, x, records::seed_figure(figures));
    } else {
      series.x.push_back(x);
      series.y.push_back(figures.back().second.value);
    }
  }
  return series;
}

// One plot for each kind of training; unlearning shows what is forgotten and what is kept apart.
std::vector<Plot> loss_plots(const Record& record) {
  using Row = records::StepRow;
  std::map<std::string, Curves> kinds;
  for (const auto& unit : record.results().units) {
    if (!records::has_rows<Row>(unit)) continue;
    const auto steps = records::read_rows<Row>(unit);
    if (steps.empty()) continue;
    const std::string kind = kind_of(records::training_set(unit.stage, unit.task));
    const std::string subject = subject_of(records::labels_of(unit.stage, unit.task, records::where_of(unit)).system);
    const int64_t seed = record.seed_of(unit).value_or(-1);
    Curves& curves = kinds[kind];
    if (!kind.starts_with(name_of(records::Purpose::unlearn))) {
      take_curve(curves, subject, seed, steps, [](const Row& row) { return row.loss; });
      continue;
    }
    take_curve(curves, subject + ": forget", seed, steps, [](const Row& row) { return row.examples_loss; });
    take_curve(curves, subject + ": retain", seed, steps, [](const Row& row) { return row.retain_loss; });
    if (steps.front().refusals_loss)
      take_curve(curves, subject + ": refusals", seed, steps,
                 [](const Row& row) { return row.refusals_loss.value_or(unknown); });
  }
  std::vector<Plot> plots;
  for (const auto& [kind, curves] : kinds) {
    Plot& plot = plots.emplace_back(Plot{"training_" + file_name(kind),
                                         "Training loss: " + kind,
                                         "optimizer step",
                                         "cross-entropy, nat per token",
                                         "Loss of each optimizer step (mean over the step's response tokens).",
                                         {}});
    for (const auto& [name, points] : curves) plot.series.push_back(series_of(name, points, record.has_seeds()));
    if (record.has_seeds()) plot.bars = bars_of(record);
  }
  return plots;
}

}  // namespace

Section training_section(const Record& record) {
  Section section{"training",
                  "Training",
                  "The delta models beside their frozen template, and any fine-tuning of the targets before.",
                  {},
                  {}};
  Table table{
      "training",
      "Training",
      {{"For"}, {"Trained"}},
      {},
      {"Loss: the minimised loss (nat), mean over a tenth of the steps; for unlearning −CE(forget) + "
       "CE(retain). Step: median wall time."},
      Table::Shown::everywhere,
      2,
      record.has_seeds() ? errors_over_seeds(record) : "One training each, so no standard error; – was not measured."};
  for (const auto& metric : records::training_metrics()) table.columns.push_back(metric_column(metric.about));
  for (const auto& set : record.measurements().sets()) {
    if (!set.starts_with(records::training_prefix)) continue;
    for (const System& system : record.systems("", set)) {
      auto& row = table.rows.emplace_back(std::vector<Cell>{kind_of(set), subject_of(system)});
      for (const auto& metric : records::training_metrics())
        row.emplace_back(record.figure(system, set, metric.about.name));
    }
  }
  if (table.rows.empty()) return section;
  sort_by_texts(table);
  section.tables = {std::move(table)};
  section.plots = loss_plots(record);
  return section;
}

}  // namespace cmc::analysis
