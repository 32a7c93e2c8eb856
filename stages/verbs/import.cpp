#include <cmath>
#include <cstdio>
#include <iostream>
#include <optional>

#include "pipeline/core/json.hpp"
#include "stages/verbs/judged_figures.hpp"
#include "stages/verbs/tofu_figures.hpp"
#include "stages/verbs/verb.hpp"

namespace cmc::stages {
namespace {

namespace po = boost::program_options;

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
  for (const auto& [name, figure] : figures.audits) std::printf("%-24s %8.4f\n", name.c_str(), figure);
  const auto& differing = figures.rouge_l_differing;
  std::printf("ROUGE-L is computed from the generated texts; items where the log's differs: %s\n",
              differing ? std::to_string(*differing).c_str() : "-");
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
                        "tofu: log of a model that never saw the forget set, for forget quality")(
      "length-controlled", po::value<std::string>(),
      "alpaca_eval: v1 (the leaderboard's), noreg (without gamed baselines) or minimal (without difficulties)")(
      "gamed", po::value<std::string>(), "alpaca_eval's df_gamed.csv, for v1 and noreg")(
      "prompts", po::value<std::string>(), "alpaca_eval.json, whose order the difficulties have; else that of FILE")(
      "json", "as JSON");
  Arguments arguments("import tofu|alpaca_eval FILE [options]", options, {"format", "file"});
  if (!arguments.parse(given) || session.world().rank() != 0) return ExitCode::done;
  const std::string format = arguments.get("format"), file = arguments.get("file");
  std::optional<std::string> retain;
  if (arguments.has("retain")) retain = arguments.get("retain");
  if (format != "tofu" && format != "alpaca_eval")
    throw Usage({"import " + format, "is not a format", "known: tofu, alpaca_eval"});
  const auto refuse = [&](const char* option, const char* other) {
    if (arguments.has(option))
      throw Usage({"import " + format, "takes no --" + std::string(option), "it is for import " + std::string(other)});
  };
  if (format == "tofu") {
    for (const char* option : {"length-controlled", "gamed", "prompts"}) refuse(option, "alpaca_eval");
    tell(tofu_figures(file, retain), arguments);
    return ExitCode::done;
  }
  refuse("retain", "tofu");
  LengthControlInput control;
  for (const auto& [option, value] : {std::pair("length-controlled", &control.form), std::pair("gamed", &control.gamed),
                                      std::pair("prompts", &control.prompts)})
    if (arguments.has(option)) *value = arguments.get(option);
  tell(judged_figures(file, control), arguments);
  return ExitCode::done;
}

}  // namespace

const Verb import_verb = {
    "import", "scores official TOFU and open-unlearning logs and AlpacaEval annotations with the metrics used here",
    run};

}  // namespace cmc::stages
