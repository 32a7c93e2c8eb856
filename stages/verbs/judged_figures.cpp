#include "stages/verbs/judged_figures.hpp"

#include <cmath>
#include <cstdio>
#include <unordered_map>

#include "pipeline/core/error.hpp"
#include "pipeline/core/log.hpp"
#include "pipeline/data/alpaca_eval.hpp"
#include "pipeline/data/gamed_baselines.hpp"
#include "pipeline/metrics/win_rate.hpp"
#include "pipeline/records/metric.hpp"

namespace cmc::stages {
namespace {

namespace metric = records::metric;

metrics::LengthControl form_of(const LengthControlInput& control) {
  const std::string what = "--length-controlled " + control.form;
  if (control.form == "minimal") {
    if (!control.gamed.empty())
      throw Usage({what, "reads no gamed baselines", "leave out --gamed, or ask for v1 or noreg"});
    return metrics::LengthControl::minimal;
  }
  if (control.form != "v1" && control.form != "noreg")
    throw Usage({what, "is not a form", "known: v1, noreg, minimal"});
  if (control.gamed.empty())
    throw Usage({what, "needs alpaca_eval's difficulties of instructions and gamed baselines",
                 "give its df_gamed.csv by --gamed, or ask for minimal, which needs nothing"});
  return control.form == "v1" ? metrics::LengthControl::v1 : metrics::LengthControl::noreg;
}

// What all models of a file share.
class LengthController {
 public:
  explicit LengthController(const LengthControlInput& control) : control_(control), form_(form_of(control)) {
    if (control.gamed.empty()) return;
    const auto baselines = data::read_gamed_baselines(control.gamed);
    if (baselines.content_hash != data::published_gamed_baselines)
      log_warning(control.gamed, " is not the published df_gamed.csv (SHA-256 ", data::published_gamed_baselines,
                  "): length-controlled win rates do not compare with published ones");
    difficulties_ = data::instruction_difficulties(baselines);
    for (const auto& row : baselines.items) gamed_.push_back({row.preference, row.length_difference, row.difficulty});
    if (control.prompts.empty()) return;
    const auto prompts = data::read_alpaca_eval(control.prompts);
    for (size_t i = 0; i < prompts.items.size(); ++i) places_.emplace(prompts.items[i].instruction, i);
  }

  metrics::LengthControlledRate rate(const std::string& file, const data::AlpacaEvalVerdicts& verdicts) const {
    if (verdicts.model_lengths.empty())
      throw BadData({file, "has pairs without output_1 and output_2, whose lengths count",
                     "give alpaca_eval's annotations.json as it writes it"});
    std::vector<metrics::JudgedPair> pairs;
    for (size_t i = 0; i < verdicts.preferences.size(); ++i)
      pairs.push_back({verdicts.preferences[i], verdicts.reference_lengths[i], verdicts.model_lengths[i],
                       difficulties_.empty() ? 0.0 : difficulties_[place(file, verdicts, i)]});
    return metrics::length_controlled_win_rate(pairs, form_, gamed_);
  }

 private:
  // Of a pair's instruction among the difficulties.
  size_t place(const std::string& file, const data::AlpacaEvalVerdicts& verdicts, size_t pair) const {
    size_t found = pair;
    if (!places_.empty()) {
      const auto at = places_.find(verdicts.instructions[pair]);
      if (at == places_.end())
        throw BadData({file + "[" + std::to_string(pair) + "].instruction", "is not in " + control_.prompts,
                       "judge the prompts of that data set"});
      found = at->second;
    } else if (verdicts.preferences.size() != difficulties_.size()) {
      throw BadData({file,
                     "has " + std::to_string(verdicts.preferences.size()) + " pairs, " + control_.gamed +
                         " difficulties of " + std::to_string(difficulties_.size()) + " instructions",
                     "give the data set by --prompts: difficulties are known by an instruction's place in it"});
    }
    if (found >= difficulties_.size())
      throw BadData(
          {control_.gamed, "has no difficulty of instruction " + std::to_string(found), "give the whole file"});
    return found;
  }

  LengthControlInput control_;
  metrics::LengthControl form_;
  std::vector<double> difficulties_;
  std::vector<metrics::GamedPair> gamed_;
  std::unordered_map<std::string, size_t> places_;  // of instructions; empty: in the order of the pairs
};

JudgedFigures figures_of(const data::AlpacaEvalVerdicts& verdicts) {
  JudgedFigures figures;
  figures.reference = verdicts.reference;
  figures.model = verdicts.model;
  figures.annotator = verdicts.annotator;
  figures.missing = static_cast<int64_t>(verdicts.preferences.size());
  if (verdicts.judged() == 0) return figures;
  const auto rate = metrics::win_rate(verdicts.preferences);
  figures.win_rate = rate.win_rate;
  if (!std::isnan(rate.standard_error)) figures.standard_error = rate.standard_error;
  figures.n = rate.n;
  figures.missing = rate.missing;
  return figures;
}

Json to_json(const JudgedFigures& figures) {
  Json json = {{metric::win_rate, figures.win_rate ? Json(*figures.win_rate) : Json()},
               {"standard_error", figures.standard_error ? Json(*figures.standard_error) : Json()},
               {"n", figures.n},
               {"missing", figures.missing}};
  if (const auto& rate = figures.length_controlled)
    json["length_controlled"] = {{metric::win_rate, rate->win_rate},
                                 {"standard_error", rate->standard_error},
                                 {"weights", rate->weights},
                                 {"c", rate->c}};
  return json;
}

std::string shown(const std::optional<double>& figure) {
  if (!figure) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", *figure);
  return text;
}

}  // namespace

std::vector<JudgedFigures> judged_figures(const std::string& file, const LengthControlInput& control) {
  std::optional<LengthController> controller;
  if (!control.form.empty()) {
    controller.emplace(control);
  } else if (!control.gamed.empty() || !control.prompts.empty()) {
    throw Usage({"import alpaca_eval", "reads --gamed and --prompts for --length-controlled alone", "say its form"});
  }
  std::vector<JudgedFigures> all;
  for (const auto& verdicts : data::read_alpaca_eval_verdicts(file)) {
    all.push_back(figures_of(verdicts));
    if (controller && verdicts.judged() > 0) all.back().length_controlled = controller->rate(file, verdicts);
  }
  return all;
}

Json to_json(const std::vector<JudgedFigures>& all) {
  if (all.size() == 1) return to_json(all.front());
  Json groups = Json::array();
  for (const auto& figures : all) {
    Json group = {{"generator_1", figures.reference}, {"generator_2", figures.model}, {"annotator", figures.annotator}};
    group.update(to_json(figures));
    groups.push_back(group);
  }
  return {{"groups", groups}};
}

void print(const std::vector<JudgedFigures>& all) {
  for (const auto& figures : all) {
    if (all.size() > 1)
      std::printf("%s%s against %s, judged by %s\n", &figures == &all.front() ? "" : "\n", figures.model.c_str(),
                  figures.reference.c_str(), figures.annotator.c_str());
    std::printf("win rate        %8s %%\nstandard error  %8s %%\npairs           %8ld\nmissing         %8ld\n",
                shown(figures.win_rate).c_str(), shown(figures.standard_error).c_str(), static_cast<long>(figures.n),
                static_cast<long>(figures.missing));
    if (const auto& rate = figures.length_controlled)
      std::printf("length-controlled win rate %8s %%\n        its standard error %8s %%\n",
                  shown(rate->win_rate).c_str(), shown(rate->standard_error).c_str());
  }
}

}  // namespace cmc::stages
