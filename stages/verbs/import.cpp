#include <cmath>
#include <cstdio>
#include <iostream>
#include <optional>

#include "pipeline/core/json.hpp"
#include "pipeline/data/alpaca_eval.hpp"
#include "pipeline/metrics/win_rate.hpp"
#include "pipeline/records/metric.hpp"
#include "stages/verbs/tofu_figures.hpp"
#include "stages/verbs/verb.hpp"

namespace cmc::stages {
namespace {

namespace po = boost::program_options;
namespace metric = records::metric;

// A dash is what was not measured.
std::string shown(std::optional<double> figure, const char* format = "%.4f") {
  if (!figure) return "-";
  char text[32];
  std::snprintf(text, sizeof text, format, *figure);
  return text;
}

void print_row(const char* name, const std::string& rouge_l, const std::string& probability, const ByMean& by_mean,
               const char* format = "%.4f") {
  std::printf("%-14s %8s %12s %23s %11s\n", name, rouge_l.c_str(), probability.c_str(),
              shown(by_mean.geometric, format).c_str(), shown(by_mean.arithmetic, format).c_str());
}

void print(const TofuFigures& figures) {
  std::printf("%-14s %8s %12s %23s %11s\n", "set", "ROUGE-L", "probability", "truth ratio: geometric", "arithmetic");
  for (const auto& [name, set] :
       {std::pair("real_authors", &figures.real_authors), std::pair("world_facts", &figures.world_facts),
        std::pair("retain", &figures.retain), std::pair("forget", &figures.forget)})
    print_row(name, shown(set->rouge_l), shown(set->probability), set->truth_ratio);
  print_row("model utility", "", "", figures.model_utility);
  print_row("forget quality", "", "", figures.forget_quality, "%.4g");
  const auto& differing = figures.rouge_l_differing;
  std::printf("ROUGE-L is computed from the generated texts; items where the log's differs: %s\n",
              differing ? std::to_string(*differing).c_str() : "-");
}

// Of one model by one judge. Standard error: empty for a single pair; of no judged pair the rate, too.
struct JudgedFigures {
  std::string reference, model, annotator;
  std::optional<double> win_rate, standard_error;
  int64_t n = 0, missing = 0;
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

std::vector<JudgedFigures> judged_figures(const std::string& file) {
  std::vector<JudgedFigures> all;
  for (const auto& verdicts : data::read_alpaca_eval_verdicts(file)) all.push_back(figures_of(verdicts));
  return all;
}

Json to_json(const JudgedFigures& figures) {
  return {{metric::win_rate, figures.win_rate ? Json(*figures.win_rate) : Json()},
          {"standard_error", figures.standard_error ? Json(*figures.standard_error) : Json()},
          {"n", figures.n},
          {"missing", figures.missing}};
}

// Of one model and judge its figures; of several {"groups": [the same with generator_1, generator_2, annotator]}.
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
                shown(figures.win_rate, "%.2f").c_str(), shown(figures.standard_error, "%.2f").c_str(),
                static_cast<long>(figures.n), static_cast<long>(figures.missing));
  }
}

template <class Figures>
void tell(const Figures& figures, const Arguments& arguments) {
  if (arguments.has("json"))
    std::cout << to_json(figures).dump(2) << "\n";
  else
    print(figures);
}

ExitCode run(const std::vector<std::string>& given, const distributed::Session& session) {
  po::options_description options("options");
  options.add_options()("retain", po::value<std::string>(),
                        "tofu: log of a model that never saw the forget set, for forget quality")("json", "as JSON");
  Arguments arguments("import tofu|alpaca_eval FILE [options]", options, {"format", "file"});
  if (!arguments.parse(given) || session.world().rank() != 0) return ExitCode::done;
  const std::string format = arguments.get("format"), file = arguments.get("file");
  std::optional<std::string> retain;
  if (arguments.has("retain")) retain = arguments.get("retain");
  if (format != "tofu" && format != "alpaca_eval")
    throw Usage({"import " + format, "is not a format", "known: tofu, alpaca_eval"});
  if (format == "alpaca_eval" && retain)
    throw Usage({"import alpaca_eval", "takes no --retain", "it is for import tofu"});
  if (format == "tofu")
    tell(tofu_figures(file, retain), arguments);
  else
    tell(judged_figures(file), arguments);
  return ExitCode::done;
}

}  // namespace

const Verb import_verb = {
    "import", "scores official TOFU and open-unlearning logs and AlpacaEval annotations with the metrics used here",
    run};

}  // namespace cmc::stages
