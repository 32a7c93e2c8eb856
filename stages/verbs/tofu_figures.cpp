#include "stages/verbs/tofu_figures.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/core/log.hpp"
#include "pipeline/data/tofu_log.hpp"
#include "pipeline/metrics/audit.hpp"
#include "pipeline/metrics/rouge.hpp"
#include "pipeline/metrics/summary.hpp"
#include "pipeline/metrics/tofu.hpp"
#include "pipeline/records/metric.hpp"

namespace cmc::stages {
namespace {

using LogItems = std::vector<data::TofuLogItem>;
using metrics::TofuSet, metrics::TruthRatioMean;
namespace metric = records::metric;

metrics::AnswerLosses losses_of(const data::TofuLogItem& item) {
  return {item.answer_loss.value_or(0), item.paraphrased_loss.value_or(0), item.wrong_losses};
}

// Means over the items, empty where these have not what it takes.
std::optional<double> mean_probability(TofuSet set, const LogItems& items) {
  const bool real = set == TofuSet::real_authors || set == TofuSet::world_facts;
  std::vector<double> probabilities;
  for (const auto& item : items)
    if (item.answer_loss && (!real || !item.wrong_losses.empty()))
      probabilities.push_back(metrics::answer_probability(losses_of(item), set));
  if (probabilities.empty()) return {};
  return metrics::mean(probabilities);
}

std::vector<double> truth_ratios(const LogItems& items, TruthRatioMean mean) {
  std::vector<double> ratios;
  for (const auto& item : items)
    if (item.has_truth_ratio()) ratios.push_back(metrics::truth_ratio(losses_of(item), mean));
  return ratios;
}

std::optional<double> mean_truth_ratio(TofuSet set, const LogItems& items, TruthRatioMean mean) {
  std::vector<double> scores;
  for (const double ratio : truth_ratios(items, mean)) scores.push_back(metrics::truth_ratio_score(ratio, set));
  if (scores.empty()) return {};
  return metrics::mean(scores);
}

std::optional<double> mean_rouge_l(const LogItems& items, int64_t& differing) {
  std::vector<double> recalls;
  for (const auto& item : items) {
    if (!item.rouge_l_recall) continue;
    recalls.push_back(
        item.texts ? metrics::rouge_l(item.texts->reference, item.texts->generated, metrics::Stemming::porter).recall
                   : *item.rouge_l_recall);
    differing += std::abs(recalls.back() - *item.rouge_l_recall) > 1e-6;
  }
  if (recalls.empty()) return {};
  return metrics::mean(recalls);
}

// What the items give, else what the log tells; a warning where these contradict each other.
std::optional<double> figure(std::optional<double> of_items, std::optional<double> told, const std::string& what) {
  if (of_items && told && std::abs(*of_items - *told) > 1e-3)
    log_warning(what, ": the log tells ", *told, ", its items give ", *of_items, ", which is reported");
  return of_items ? of_items : told;
}

TofuSetFigures set_figures(TofuSet set, const data::TofuLog& log, const data::TofuLogSet& logged, int64_t& differing) {
  const auto what = [&](const char* name) {
    return log.file.string() + ": " + name + " of " + std::string(metrics::name_of(set));
  };
  const auto& items = logged.items;
  const auto ratio = [&](TruthRatioMean mean) { return mean_truth_ratio(set, items, mean); };
  return {figure(mean_rouge_l(items, differing), logged.rouge_l, what("ROUGE-L")),
          figure(mean_probability(set, items), logged.probability, what("the probability")),
          {figure(ratio(TruthRatioMean::geometric), logged.truth_ratio, what("the truth ratio")),
           ratio(TruthRatioMean::arithmetic)}};
}

std::optional<double> utility(const TofuFigures& figures, std::optional<double> ByMean::*mean) {
  std::vector<metrics::TofuScores> scores;
  for (const auto* set : {&figures.retain, &figures.real_authors, &figures.world_facts}) {
    const auto& ratio = set->truth_ratio.*mean;
    if (!set->rouge_l || !set->probability || !ratio) return {};
    scores.push_back({*set->rouge_l, *set->probability, *ratio});
  }
  return metrics::model_utility(scores[0], scores[1], scores[2]);
}

[[noreturn]] void refuse_equal(const data::TofuLog& log, const data::TofuLog& retain, const std::string& what) {
  throw Refused({log.file.string() + " and " + retain.file.string(),
                 "hold the same " + what + ": forget quality would be 1 and mean nothing",
                 "give --retain the log of a model that never saw the forget set"});
}

void expect_truth_ratios(const data::TofuLog& log) {
  if (log.forget.items.empty() || !log.forget.items.front().has_truth_ratio())
    throw BadData({log.file.string(), "has no losses of forget_Q_A_PARA_Prob and forget_Q_A_PERT_Prob by item",
                   "forget quality compares items: give TOFU_EVAL.json of an evaluation with forget_quality"});
}

// p-value between the forget sets' truth ratios; the same ratios in another order are refused too.
double forget_quality(const data::TofuLog& log, const data::TofuLog& retain, TruthRatioMean mean) {
  auto ours = truth_ratios(log.forget.items, mean), theirs = truth_ratios(retain.forget.items, mean);
  std::ranges::sort(ours);
  std::ranges::sort(theirs);
  if (ours == theirs) refuse_equal(log, retain, "truth ratios");
  return metrics::forget_quality(ours, theirs);
}

ByMean forget_qualities(const data::TofuLog& log, const data::TofuLog& retain) {
  if (log.content_hash == retain.content_hash) refuse_equal(log, retain, "bytes");
  for (const auto* each : {&log, &retain}) expect_truth_ratios(*each);
  if (!std::ranges::equal(log.forget.items, retain.forget.items, {}, &data::TofuLogItem::key, &data::TofuLogItem::key))
    log_warning("the forget sets of ", log.file.string(), " and ", retain.file.string(), " do not hold the same items");
  return {forget_quality(log, retain, TruthRatioMean::geometric),
          forget_quality(log, retain, TruthRatioMean::arithmetic)};
}

// What the scores give, else what the log tells.
std::optional<double> audit_figure(const data::TofuLog& log, const std::string& name) {
  const auto found = log.audits.find(name);
  if (found == log.audits.end()) return {};
  const auto& [told, forget, holdout] = found->second;
  std::optional<double> of_items;
  if (!forget.empty() && !holdout.empty()) of_items = metrics::membership_auc(forget, holdout).value;
  return figure(of_items, told, log.file.string() + ": " + name);
}

// `retain`: of a model that never saw the forget set, where there is one.
std::map<std::string, double> audit_figures(const data::TofuLog& log, const std::optional<data::TofuLog>& retain) {
  std::map<std::string, double> figures;
  for (const auto& [name, audit] : log.audits)
    if (const auto found = audit_figure(log, name)) figures[name] = *found;
  if (!retain) return figures;
  const std::string min_k(records::membership_metrics[2].auc);
  const auto ours = audit_figure(log, min_k), theirs = audit_figure(*retain, min_k);
  if (!ours || !theirs) return figures;
  const std::string privleak(metric::privleak);
  figures.erase(privleak);
  if (*theirs < 1) figures[privleak] = metrics::privacy_leakage(*ours, *theirs);
  return figures;
}

Json json_of(std::optional<double> value) {
  return value ? Json(*value) : Json();
}

Json json_of(const ByMean& value) {
  if (!value.geometric && !value.arithmetic) return {};
  return {{"geometric", json_of(value.geometric)}, {"arithmetic", json_of(value.arithmetic)}};
}

Json json_of(const TofuSetFigures& set) {
  return {{metric::rouge_l, json_of(set.rouge_l)},
          {metric::probability, json_of(set.probability)},
          {"truth_ratio", json_of(set.truth_ratio)}};
}

}  // namespace

TofuFigures tofu_figures(const std::string& file, const std::optional<std::string>& retain_file) {
  const auto log = data::read_tofu_log(file);
  std::optional<data::TofuLog> retain;
  if (retain_file) retain = data::read_tofu_log(*retain_file, data::TofuLogPart::forget_truth_ratios);
  TofuFigures figures;
  int64_t differing = 0;
  bool all_texts = true;
  for (const auto& [set, logged, found] : {std::tuple(TofuSet::real_authors, &log.real_authors, &figures.real_authors),
                                           std::tuple(TofuSet::world_facts, &log.world_facts, &figures.world_facts),
                                           std::tuple(TofuSet::retain, &log.retain, &figures.retain),
                                           std::tuple(TofuSet::forget, &log.forget, &figures.forget)}) {
    *found = set_figures(set, log, *logged, differing);
    all_texts = all_texts && !logged->items.empty() && logged->items.front().texts;
  }
  if (all_texts) figures.rouge_l_differing = differing;
  figures.model_utility = {figure(utility(figures, &ByMean::geometric), log.model_utility, file + ": model utility"),
                           utility(figures, &ByMean::arithmetic)};
  figures.audits = audit_figures(log, retain);
  figures.forget_quality = retain ? forget_qualities(log, *retain) : ByMean{log.forget_quality, {}};
  return figures;
}

Json to_json(const TofuFigures& figures) {
  return {{"sets",
           {{"retain", json_of(figures.retain)},
            {"real_authors", json_of(figures.real_authors)},
            {"world_facts", json_of(figures.world_facts)},
            {"forget", json_of(figures.forget)}}},
          {"model_utility", json_of(figures.model_utility)},
          {"forget_quality", json_of(figures.forget_quality)},
          {"audits", figures.audits},
          {"rouge_l_differing", figures.rouge_l_differing ? Json(*figures.rouge_l_differing) : Json()}};
}

}  // namespace cmc::stages
