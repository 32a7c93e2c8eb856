// What was trained: losses from the first steps to the last, and speed.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>

#include "analysis/sample.hpp"
#include "analysis/section.hpp"
#include "analysis/unit_values.hpp"

namespace cmc::analysis {
namespace {

bool is_training(const store::Unit& unit) {
  return find_dataset(unit, "loss") && !numbers(unit, "loss").empty();
}

// What a model was trained for, and as what: "instruct", "instruct (expert)", "unlearn (lora)", "prepare (retain)".
std::string kind_of(const store::Unit& unit) {
  std::string kind = unit.stage, how;
  for (const char* key : {"kind", "purpose"})
    if (const std::string purpose = text_of(unit.task, key); !purpose.empty()) kind = purpose;
  for (const char* key : {"role", "method", "part"})
    if (const std::string value = text_of(unit.task, key); !value.empty()) how = value;
  return how.empty() || how == "delta" || how == "all" ? kind : kind + " (" + how + ")";
}

std::string subject_of(const store::Unit& unit) {
  for (const char* key : {"delta", "target", "name"})
    if (const std::string name = text_of(unit.task, key); !name.empty()) return name;
  return unit.key.substr(0, 12);
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

// Of the first or last tenth of the steps, at least one.
double mean_of_tenth(const std::vector<double>& values, bool last) {
  if (values.empty()) return unknown;
  const size_t n = std::max<size_t>(1, values.size() / 10);
  const auto begin = last ? values.end() - static_cast<std::ptrdiff_t>(n) : values.begin();
  return mean_figure({begin, begin + static_cast<std::ptrdiff_t>(n)}).value;
}

double median(std::vector<double> values) {
  if (values.empty()) return unknown;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double sum(const std::vector<double>& values) {
  double total = values.empty() ? unknown : 0;
  for (const double value : values) total += value;
  return total;
}

Series curve(const store::Unit& unit, const std::string& dataset, const std::string& name) {
  Series series{name, {}, numbers(unit, dataset)};
  for (size_t i = 0; i < series.y.size(); ++i) series.x.push_back(static_cast<double>(i + 1));
  return series;
}

// One plot for each kind of training; unlearning shows what is forgotten and what is kept apart.
std::vector<Plot> loss_plots(const store::Results& results) {
  std::map<std::string, Plot> plots;
  for (const auto& unit : results.units) {
    if (!is_training(unit)) continue;
    const std::string kind = kind_of(unit), subject = subject_of(unit);
    Plot& plot = plots[kind];
    if (plot.id.empty())
      plot = {"training_" + file_name(kind),
              "Training loss: " + kind,
              "optimizer step",
              "cross-entropy, nat per token",
              "Loss of each optimizer step (mean over the step's response tokens).",
              {}};
    if (kind.starts_with("unlearn") && find_dataset(unit, "examples_loss")) {
      plot.series.push_back(curve(unit, "examples_loss", subject + ": forget"));
      plot.series.push_back(curve(unit, "retain_loss", subject + ": retain"));
      if (find_dataset(unit, "refusals_loss"))
        plot.series.push_back(curve(unit, "refusals_loss", subject + ": refusals"));
    } else {
      plot.series.push_back(curve(unit, "loss", subject));
    }
  }
  std::vector<Plot> list;
  for (auto& [kind, plot] : plots) {
    std::ranges::stable_sort(plot.series, {}, &Series::name);
    list.push_back(std::move(plot));
  }
  return list;
}

}  // namespace

Section training_section(const store::Results& results) {
  Section section{"training",
                  "Training",
                  "The delta models beside their frozen template, and any fine-tuning of the targets before.",
                  {},
                  {}};
  Table table{"training",
              "Training",
              {{"For"},
               {"Trained"},
               {"Steps", "", 0, "", OverSeeds::same},
               {"Loss, first tenth", "", 3},
               {"Loss, last tenth", "", 3},
               {"Step, s", "", 3},
               {"Tokens/s", "", 1}},
              {},
              {"Loss: the minimised loss (nat), mean over a tenth of the steps; for unlearning −CE(forget) + "
               "CE(retain). Step: median wall time."},
              Table::Shown::everywhere,
              2,
              "One training each, so no standard error; – was not measured."};
  for (const auto& unit : results.units) {
    if (!is_training(unit)) continue;
    const auto loss = numbers(unit, "loss"), seconds = numbers(unit, "step_seconds");
    double tokens = sum(numbers(unit, "step_tokens"));
    if (std::isnan(tokens)) tokens = number_of(unit.cost, "tokens");
    const double total = sum(seconds);
    table.rows.push_back({kind_of(unit), subject_of(unit), plain_figure(static_cast<double>(loss.size())),
                          plain_figure(mean_of_tenth(loss, false)), plain_figure(mean_of_tenth(loss, true)),
                          plain_figure(median(seconds)), plain_figure(total > 0 ? tokens / total : unknown)});
  }
  if (table.rows.empty()) return section;
  sort_by_texts(table);
  section.tables = {std::move(table)};
  section.plots = loss_plots(results);
  return section;
}

}  // namespace cmc::analysis
