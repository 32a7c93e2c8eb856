#include "stages/verbs/open_unlearning_export.hpp"

#include <cmath>
#include <functional>

#include "pipeline/metrics/audit.hpp"
#include "pipeline/metrics/rouge.hpp"
#include "pipeline/metrics/summary.hpp"
#include "pipeline/records/metric.hpp"

namespace cmc::stages {
namespace {

using metrics::TofuSet;
using records::UnlearnRow;
namespace metric = records::metric;

double loss(double log_prob, int64_t tokens) {
  return -log_prob / static_cast<double>(tokens);
}

// The value of a metric for a row, as the report has it.
double value_of(std::string_view name, const UnlearnRow& row, TofuSet set) {
  for (const auto& each : records::unlearn_metrics())
    if (each.about.name == name) return each.value(row, set);
  throw Internal({std::string(name), "is no metric of the stage unlearn", ""});
}

std::vector<double> values_of(std::string_view name, const std::vector<UnlearnRow>& rows, TofuSet set) {
  std::vector<double> values;
  for (const auto& row : rows) values.push_back(value_of(name, row, set));
  return values;
}

Json by_index(const std::vector<UnlearnRow>& rows, const std::function<Json(const UnlearnRow&)>& values) {
  Json items = Json::object();
  for (const auto& row : rows) items[std::to_string(row.item)] = values(row);
  return items;
}

// A metric whose mean is that of one of the report's.
Json logged(const std::vector<UnlearnRow>& rows, const std::vector<double>& averaged,
            const std::function<Json(const UnlearnRow&)>& values) {
  return {{"agg_value", metrics::mean(averaged)}, {"value_by_index", by_index(rows, values)}};
}

Json scored(std::string_view name, const std::vector<UnlearnRow>& rows, TofuSet set) {
  return logged(rows, values_of(name, rows, set), [&](const UnlearnRow& row) {
    return Json{{"score", value_of(name, row, set)}};
  });
}

Json single_answer(const std::vector<UnlearnRow>& rows, double UnlearnRow::*log_prob, int64_t UnlearnRow::*tokens) {
  const auto loss_of = [&](const UnlearnRow& row) { return loss(row.*log_prob, row.*tokens); };
  std::vector<double> probabilities;
  for (const auto& row : rows) probabilities.push_back(std::exp(-loss_of(row)));
  return logged(rows, probabilities, [&](const UnlearnRow& row) {
    return Json{{"prob", std::exp(-loss_of(row))}, {"avg_loss", loss_of(row)}};
  });
}

Json wrong_answers(const std::vector<UnlearnRow>& rows) {
  std::vector<double> means;
  const Json items = by_index(rows, [&](const UnlearnRow& row) {
    Json probabilities = Json::array(), losses = Json::array();
    double sum = 0;
    for (size_t w = 0; w < row.wrong_logprob->size(); ++w) {
      losses.push_back(loss((*row.wrong_logprob)[w], row.wrong_tokens->at(w)));
      probabilities.push_back(std::exp(-losses.back().get<double>()));
      sum += probabilities.back().get<double>();
    }
    means.push_back(sum / static_cast<double>(losses.size()));
    return Json{{"prob", probabilities}, {"avg_loss", losses}};
  });
  return {{"agg_value", metrics::mean(means)}, {"value_by_index", items}};
}

Json rouge(const std::vector<UnlearnRow>& rows) {
  std::vector<double> recalls;
  for (const auto& row : rows) recalls.push_back(row.rouge_l_recall);
  return logged(rows, recalls, [](const UnlearnRow& row) {
    return Json{{"rouge1_recall", row.rouge1_recall},
                {"rougeL_f1", metrics::rouge(row.answer, row.generated).rouge_l.f_measure},
                {"rougeL_recall", row.rouge_l_recall},
                {"input", row.question},
                {"ground_truth", row.answer},
                {"generation", row.generated}};
  });
}

void add_set(Json& log, const std::string& prefix, TofuSet set, const std::vector<UnlearnRow>& rows) {
  log[prefix + "_Q_A_Prob"] = single_answer(rows, &UnlearnRow::answer_logprob, &UnlearnRow::answer_tokens);
  log[prefix + "_Q_A_ROUGE"] = rouge(rows);
  log[prefix + "_Q_A_PERT_Prob"] = wrong_answers(rows);
  if (set == TofuSet::real_authors || set == TofuSet::world_facts)
    log[prefix + "_Q_A_Prob_normalised"] =
        logged(rows, values_of(metric::probability, rows, set), [&](const UnlearnRow& row) {
          return Json{{"prob", value_of(metric::probability, row, set)}};
        });
  else
    log[prefix + "_Q_A_PARA_Prob"] =
        single_answer(rows, &UnlearnRow::paraphrase_logprob, &UnlearnRow::paraphrase_tokens);
  const auto& names = records::truth_ratio_metrics[0];
  log[set == TofuSet::forget ? "forget_truth_ratio" : prefix + "_Truth_Ratio"] =
      logged(rows, values_of(names.score, rows, set), [&](const UnlearnRow& row) {
        return Json{{"score", value_of(names.ratio, row, set)}};
      });
}

double auc_of(std::string_view score, const TofuRows& rows) {
  return metrics::membership_auc(values_of(score, rows.at(TofuSet::forget), TofuSet::forget),
                                 values_of(score, rows.at(TofuSet::holdout), TofuSet::holdout))
      .value;
}

bool can_be_inferred(const TofuRows& rows) {
  return rows.contains(TofuSet::forget) && rows.contains(TofuSet::holdout);
}

void add_membership(Json& log, const TofuRows& rows, const TofuRows& retain_only) {
  if (!can_be_inferred(rows)) return;
  for (const auto& attack : records::membership_metrics) {
    const double auc = auc_of(attack.score, rows);
    log[std::string(attack.auc)] = {{"forget", scored(attack.score, rows.at(TofuSet::forget), TofuSet::forget)},
                                    {"holdout", scored(attack.score, rows.at(TofuSet::holdout), TofuSet::holdout)},
                                    {"auc", auc},
                                    {"agg_value", auc}};
  }
  const std::string_view min_k = records::membership_metrics[2].score;
  const double reference = can_be_inferred(retain_only) ? auc_of(min_k, retain_only) : metrics::chance_auc;
  if (reference < 1)
    log[std::string(metric::privleak)] = {{"agg_value", metrics::privacy_leakage(auc_of(min_k, rows), reference)}};
}

metrics::TofuScores scores_of(const std::vector<UnlearnRow>& rows, TofuSet set) {
  const auto mean_of = [&](std::string_view name) { return metrics::mean(values_of(name, rows, set)); };
  return {mean_of(metric::rouge_l), mean_of(metric::probability), mean_of(records::truth_ratio_metrics[0].score)};
}

Json forget_quality(const TofuRows& rows, const TofuRows& retain_only) {
  const auto theirs = retain_only.find(TofuSet::forget);
  if (theirs == retain_only.end()) return {};
  const auto ratios = [](const std::vector<UnlearnRow>& some) {
    return values_of(records::truth_ratio_metrics[0].ratio, some, TofuSet::forget);
  };
  const auto ours = ratios(rows.at(TofuSet::forget)), reference = ratios(theirs->second);
  if (ours == reference) return {};
  return metrics::forget_quality(ours, reference);
}

}  // namespace

Json open_unlearning_log(const TofuRows& rows, const TofuRows& retain_only) {
  Json log = Json::object();
  for (const auto& [set, prefix] : {std::pair(TofuSet::retain, "retain"),
                                    {TofuSet::real_authors, "ra"},
                                    {TofuSet::world_facts, "wf"},
                                    {TofuSet::forget, "forget"}})
    if (const auto found = rows.find(set); found != rows.end()) add_set(log, prefix, set, found->second);
  if (const auto forget = rows.find(TofuSet::forget); forget != rows.end()) {
    if (forget->second.front().token_best)
      for (const auto name : {metric::exact_memorization, metric::extraction_strength})
        log[std::string(name)] = scored(name, forget->second, TofuSet::forget);
    log["forget_quality"] = {{"agg_value", forget_quality(rows, retain_only)}};
  }
  add_membership(log, rows, retain_only);
  const auto has = [&](TofuSet set) { return rows.contains(set); };
  if (has(TofuSet::retain) && has(TofuSet::real_authors) && has(TofuSet::world_facts))
    log["model_utility"] = {
        {"agg_value", metrics::model_utility(scores_of(rows.at(TofuSet::retain), TofuSet::retain),
                                             scores_of(rows.at(TofuSet::real_authors), TofuSet::real_authors),
                                             scores_of(rows.at(TofuSet::world_facts), TofuSet::world_facts))}};
  return log;
}

Json open_unlearning_summary(const Json& log) {
  Json summary = Json::object();
  for (const auto& [name, logged] : log.items())
    if (!logged.at("agg_value").is_null()) summary[name] = logged.at("agg_value");
  return summary;
}

}  // namespace cmc::stages
