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

double step_of(const records::StepRow&, size_t place) {
  return static_cast<double>(place + 1);
}
double step_of(const records::HeldOutRow& row, size_t) {
  return static_cast<double>(row.step);
}

template <class Row>
void take_curve(Curves& curves, const std::string& name, int64_t seed, const std::vector<Row>& rows,
                double (*loss)(const Row&)) {
  for (size_t i = 0; i < rows.size(); ++i)
    curves[name][step_of(rows[i], i)].emplace_back(seed, records::plain_figure(loss(rows[i])));
}

template <class Row>
void take_objective(Curves& curves, const std::string& name, int64_t seed, const std::vector<Row>& rows) {
  take_curve<Row>(curves, name, seed, rows, [](const Row& row) { return row.loss; });
}

// What is forgotten and what is kept apart. `which`: behind the names.
template <class Row>
void take_parts(Curves& curves, const std::string& name, int64_t seed, const std::vector<Row>& rows,
                const std::string& which = "") {
  take_curve<Row>(curves, name + ": forget" + which, seed, rows, [](const Row& row) { return row.examples_loss; });
  take_curve<Row>(curves, name + ": retain" + which, seed, rows, [](const Row& row) { return row.retain_loss; });
  if (rows.front().refusals_loss)
    take_curve<Row>(curves, name + ": refusals" + which, seed, rows,
                    [](const Row& row) { return row.refusals_loss.value_or(unknown); });
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

constexpr char held_out[] = ", held out";

// Curves by kind of training. `objectives`: of unlearning, where it was evaluated on held-out examples.
struct Kinds {
  std::map<std::string, Curves> losses, objectives;
};

void take(Kinds& kinds, const Record& record, const store::Unit& unit) {
  const auto steps = records::read_rows<records::StepRow>(unit);
  if (steps.empty()) return;
  std::vector<records::HeldOutRow> evaluations;
  if (records::has_rows<records::HeldOutRow>(unit)) evaluations = records::read_rows<records::HeldOutRow>(unit);
  const std::string kind = kind_of(records::training_set(unit.stage, unit.task));
  const std::string subject = subject_of(records::labels_of(unit.stage, unit.task, records::where_of(unit)).system);
  const int64_t seed = record.seed_of(unit).value_or(-1);
  Curves& losses = kinds.losses[kind];
  if (!kind.starts_with(name_of(records::Purpose::unlearn))) {
    take_objective(losses, subject, seed, steps);
    take_objective(losses, subject + held_out, seed, evaluations);
    return;
  }
  take_parts(losses, subject, seed, steps);
  if (evaluations.empty()) return;
  take_parts(losses, subject, seed, evaluations, held_out);
  take_objective(kinds.objectives[kind], subject, seed, steps);
  take_objective(kinds.objectives[kind], subject + held_out, seed, evaluations);
}

void add_plot(std::vector<Plot>& plots, const Record& record, Plot blank, const Curves& curves) {
  for (const auto& [name, points] : curves) blank.series.push_back(series_of(name, points, record.has_seeds()));
  if (record.has_seeds()) blank.bars = bars_of(record);
  plots.push_back(std::move(blank));
}

std::vector<Plot> loss_plots(const Record& record) {
  Kinds kinds;
  for (const auto& unit : record.results().units)
    if (records::has_rows<records::StepRow>(unit)) take(kinds, record, unit);
  std::vector<Plot> plots;
  for (const auto& [kind, curves] : kinds.losses)
    add_plot(plots, record,
             {"training_" + file_name(kind),
              "Training loss: " + kind,
              "optimizer step",
              "cross-entropy, nat per token",
              "Loss of each optimizer step (mean over the step's response tokens).",
              {}},
             curves);
  for (const auto& [kind, curves] : kinds.objectives)
    add_plot(plots, record,
             {"training_objective_" + file_name(kind),
              "What is minimised: " + kind,
              "optimizer step",
              "objective, nat",
              "Forget and retain terms together, of each optimizer step and on held-out examples.",
              {}},
             curves);
  return plots;
}

Table blank_table(const Record& record, const std::string& id, const std::string& title, const std::string& note) {
  return {
      id,
      title,
      {{"For"}, {"Trained"}},
      {},
      {note},
      Table::Shown::everywhere,
      2,
      record.has_seeds() ? errors_over_seeds(record) : "One training each, so no standard error; – was not measured."};
}

enum class Rows { all, measured };

// A row a training; a column a metric.
template <class Row>
Table with_rows(Table table, const Record& record, const std::vector<records::TrainingMetric<Row>>& metrics,
                Rows which) {
  for (const auto& metric : metrics) table.columns.push_back(metric_column(metric.about));
  for (const auto& set : record.measurements().sets()) {
    if (!set.starts_with(records::training_prefix)) continue;
    for (const System& system : record.systems("", set)) {
      const bool measured = !std::isnan(record.figure(system, set, metrics.back().about.name).value);
      if (which == Rows::measured && !measured) continue;
      auto& row = table.rows.emplace_back(std::vector<Cell>{kind_of(set), subject_of(system)});
      for (const auto& metric : metrics) row.emplace_back(record.figure(system, set, metric.about.name));
    }
  }
  sort_by_texts(table);
  return table;
}

}  // namespace

Section training_section(const Record& record) {
  Section section{"training",
                  "Training",
                  "The delta models beside their frozen template, and any fine-tuning of the targets before.",
                  {},
                  {}};
  auto table = with_rows(blank_table(record, "training", "Training",
                                     "Loss: the minimised loss (nat), mean over a tenth of the steps; for unlearning "
                                     "−CE(forget) + CE(retain). Step: median wall time."),
                         record, records::training_metrics(), Rows::all);
  if (table.rows.empty()) return section;
  section.tables = {std::move(table)};
  auto evaluated = with_rows(blank_table(record, "held_out", "Losses on held-out examples",
                                         "Examples that are not trained on. Loss (nat): what is minimised; best: the "
                                         "lowest of all evaluations, whose weights `keep = best` publishes."),
                             record, records::held_out_metrics(), Rows::measured);
  if (!evaluated.rows.empty()) section.tables.push_back(std::move(evaluated));
  section.plots = loss_plots(record);
  return section;
}

}  // namespace cmc::analysis
