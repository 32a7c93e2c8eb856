#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <optional>

#include "pipeline/core/json.hpp"
#include "pipeline/core/log.hpp"
#include "pipeline/data/alpaca_eval.hpp"
#include "pipeline/data/tofu_log.hpp"
#include "pipeline/metrics/rouge.hpp"
#include "pipeline/metrics/tofu.hpp"
#include "pipeline/metrics/win_rate.hpp"
#include "pipeline/records/metric.hpp"
#include "stages/verbs/verb.hpp"

namespace cmc::stages {
namespace {

namespace po = boost::program_options;
using LogItems = std::vector<data::TofuLogItem>;
using metrics::TofuSet, metrics::TruthRatioMean;
namespace metric = records::metric;

struct SetScores {
  metrics::TofuScores geometric, arithmetic;  // differ in truth_ratio alone
  bool has_texts = false;
  int64_t rouge_l_differing = 0;  // items; 0 without texts
};

std::vector<metrics::AnswerLosses> losses_of(const LogItems& items) {
  std::vector<metrics::AnswerLosses> losses;
  for (const auto& item : items) losses.push_back({item.answer_loss, item.paraphrased_loss, item.wrong_losses});
  return losses;
}

// ROUGE-L from the texts where the log has them, else the log's own.
SetScores score_set(TofuSet set, const LogItems& items) {
  std::vector<double> recalls;
  int64_t differing = 0;
  for (const auto& item : items) {
    recalls.push_back(
        item.texts ? metrics::rouge_l(item.texts->reference, item.texts->generated, metrics::Stemming::porter).recall
                   : item.rouge_l_recall);
    differing += std::abs(recalls.back() - item.rouge_l_recall) > 1e-6;
  }
  const auto losses = losses_of(items);
  return {metrics::score_tofu_set(set, losses, recalls, TruthRatioMean::geometric),
          metrics::score_tofu_set(set, losses, recalls, TruthRatioMean::arithmetic), items.front().texts.has_value(),
          differing};
}

Json to_json(const SetScores& scores) {
  return {
      {metric::rouge_l, scores.geometric.rouge_l},
      {metric::probability, scores.geometric.probability},
      {"truth_ratio", {{"geometric", scores.geometric.truth_ratio}, {"arithmetic", scores.arithmetic.truth_ratio}}}};
}

[[noreturn]] void refuse_equal(const data::TofuLog& log, const data::TofuLog& retain, const std::string& what) {
  throw Refused({log.file.string() + " and " + retain.file.string(),
                 "hold the same " + what + ": forget quality would be 1 and mean nothing",
                 "give --retain the log of a model that never saw the forget set"});
}

// p-value between the forget sets' truth ratios; the same ratios in another order are refused too.
double forget_quality(const data::TofuLog& log, const data::TofuLog& retain, TruthRatioMean mean) {
  auto ours = metrics::truth_ratios(losses_of(log.forget), mean);
  auto theirs = metrics::truth_ratios(losses_of(retain.forget), mean);
  std::ranges::sort(ours);
  std::ranges::sort(theirs);
  if (ours == theirs) refuse_equal(log, retain, "truth ratios");
  return metrics::forget_quality(ours, theirs);
}

Json forget_qualities(const data::TofuLog& log, const std::string& retain_file) {
  const auto retain = data::read_tofu_log(retain_file, data::TofuLogPart::forget_truth_ratios);
  if (log.content_hash == retain.content_hash) refuse_equal(log, retain, "bytes");
  if (!std::ranges::equal(log.forget, retain.forget, {}, &data::TofuLogItem::key, &data::TofuLogItem::key))
    log_warning("the forget sets of ", log.file.string(), " and ", retain_file, " do not hold the same items");
  return {{"geometric", forget_quality(log, retain, TruthRatioMean::geometric)},
          {"arithmetic", forget_quality(log, retain, TruthRatioMean::arithmetic)}};
}

// {"sets", "model_utility", "forget_quality", "rouge_l_differing"}: forget_quality is null without a retain-only log,
// rouge_l_differing (items whose ROUGE-L is not the log's, by more than 1e-6) unless every set has texts.
Json score_tofu_log(const std::string& file, const std::optional<std::string>& retain_file) {
  const auto log = data::read_tofu_log(file);
  const auto retain = score_set(TofuSet::retain, log.retain), forget = score_set(TofuSet::forget, log.forget);
  const auto authors = score_set(TofuSet::real_authors, log.real_authors);
  const auto facts = score_set(TofuSet::world_facts, log.world_facts);
  bool all_texts = true;
  int64_t differing = 0;
  for (const auto* set : {&retain, &authors, &facts, &forget}) {
    all_texts = all_texts && set->has_texts;
    differing += set->rouge_l_differing;
  }
  return {{"sets",
           {{"retain", to_json(retain)},
            {"real_authors", to_json(authors)},
            {"world_facts", to_json(facts)},
            {"forget", to_json(forget)}}},
          {"model_utility",
           {{"geometric", metrics::model_utility(retain.geometric, authors.geometric, facts.geometric)},
            {"arithmetic", metrics::model_utility(retain.arithmetic, authors.arithmetic, facts.arithmetic)}}},
          {"forget_quality", retain_file ? forget_qualities(log, *retain_file) : Json()},
          {"rouge_l_differing", all_texts ? Json(differing) : Json()}};
}

// A dash is what was not measured.
std::string shown(const Json& figure, const char* format = "%.4f") {
  if (!figure.is_number() || std::isnan(figure.get<double>())) return "-";
  char text[32];
  std::snprintf(text, sizeof text, format, figure.get<double>());
  return text;
}

void print_row(const char* name, const std::string& rouge_l, const std::string& probability, const Json& by_mean,
               const char* format = "%.4f") {
  const auto of = [&](const char* mean) { return by_mean.is_object() ? shown(by_mean.at(mean), format) : "-"; };
  std::printf("%-14s %8s %12s %23s %11s\n", name, rouge_l.c_str(), probability.c_str(), of("geometric").c_str(),
              of("arithmetic").c_str());
}

void print_tofu(const Json& result) {
  std::printf("%-14s %8s %12s %23s %11s\n", "set", "ROUGE-L", "probability", "truth ratio: geometric", "arithmetic");
  for (const char* name : {"real_authors", "world_facts", "retain", "forget"}) {
    const Json& set = result.at("sets").at(name);
    print_row(name, shown(set.at(metric::rouge_l)), shown(set.at(metric::probability)), set.at("truth_ratio"));
  }
  print_row("model utility", "", "", result.at("model_utility"));
  print_row("forget quality", "", "", result.at("forget_quality"), "%.4g");
  const Json& differing = result.at("rouge_l_differing");
  std::printf("ROUGE-L is computed from generated_text; items where the log's differs: %s\n",
              shown(differing, "%.0f").c_str());
}

// Standard error: null for a single pair; of no judged pair the rate, too.
Json score_verdicts(const data::AlpacaEvalVerdicts& verdicts) {
  if (verdicts.judged() == 0)
    return {
        {metric::win_rate, nullptr}, {"standard_error", nullptr}, {"n", 0}, {"missing", verdicts.preferences.size()}};
  const auto rate = metrics::win_rate(verdicts.preferences);
  return {{metric::win_rate, rate.win_rate},
          {"standard_error", std::isnan(rate.standard_error) ? Json() : Json(rate.standard_error)},
          {"n", rate.n},
          {"missing", rate.missing}};
}

// The figures of one model by one judge; of several {"groups": [the same with generator_1, generator_2, annotator]}.
Json score_annotations(const std::string& file) {
  const auto all = data::read_alpaca_eval_verdicts(file);
  if (all.size() == 1) return score_verdicts(all.front());
  Json groups = Json::array();
  for (const auto& verdicts : all) {
    Json group = {
        {"generator_1", verdicts.reference}, {"generator_2", verdicts.model}, {"annotator", verdicts.annotator}};
    group.update(score_verdicts(verdicts));
    groups.push_back(group);
  }
  return {{"groups", groups}};
}

void print_annotations(const Json& result) {
  if (result.contains("groups")) {
    for (const Json& group : result.at("groups")) {
      const auto name = [&](const char* field) { return group.at(field).get<std::string>(); };
      std::printf("%s%s against %s, judged by %s\n", &group == &result.at("groups").front() ? "" : "\n",
                  name("generator_2").c_str(), name("generator_1").c_str(), name("annotator").c_str());
      print_annotations(group);
    }
    return;
  }
  std::printf("win rate        %8s %%\nstandard error  %8s %%\npairs           %8ld\nmissing         %8ld\n",
              shown(result.at(metric::win_rate), "%.2f").c_str(), shown(result.at("standard_error"), "%.2f").c_str(),
              static_cast<long>(result.at("n").get<int64_t>()), static_cast<long>(result.at("missing").get<int64_t>()));
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
  const Json result = format == "tofu" ? score_tofu_log(file, retain) : score_annotations(file);
  if (arguments.has("json"))
    std::cout << result.dump(2) << "\n";
  else if (format == "tofu")
    print_tofu(result);
  else
    print_annotations(result);
  return ExitCode::done;
}

}  // namespace

const Verb import_verb = {"import", "scores official TOFU logs and AlpacaEval annotations with the metrics used here",
                          run};

}  // namespace cmc::stages
