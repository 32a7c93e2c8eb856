#include "pipeline/data/open_unlearning_log.hpp"

#include <algorithm>
#include <numeric>

#include "pipeline/core/error.hpp"
#include "pipeline/data/record.hpp"

namespace cmc::data {
namespace {

struct SetMetrics {
  TofuLogSet TofuLog::*set;
  const char* answer;       // losses of the answer
  const char* paraphrased;  // of its paraphrase
  const char* wrong;        // of the wrong answers
  const char* rouge;
  const char* probability;  // its mean is the set's probability
  const char* truth_ratio;
};

constexpr SetMetrics all_metrics[] = {
    {&TofuLog::retain, "retain_Q_A_Prob", "retain_Q_A_PARA_Prob", "retain_Q_A_PERT_Prob", "retain_Q_A_ROUGE",
     "retain_Q_A_Prob", "retain_Truth_Ratio"},
    {&TofuLog::real_authors, "ra_Q_A_Prob", "ra_Q_A_Prob", "ra_Q_A_PERT_Prob", "ra_Q_A_ROUGE", "ra_Q_A_Prob_normalised",
     "ra_Truth_Ratio"},
    {&TofuLog::world_facts, "wf_Q_A_Prob", "wf_Q_A_Prob", "wf_Q_A_PERT_Prob", "wf_Q_A_ROUGE", "wf_Q_A_Prob_normalised",
     "wf_Truth_Ratio"},
    {&TofuLog::forget, "forget_Q_A_Prob", "forget_Q_A_PARA_Prob", "forget_Q_A_PERT_Prob", "forget_Q_A_ROUGE",
     "forget_Q_A_Prob", "forget_truth_ratio"}};

// One log and where it comes from.
struct Source {
  const Json& json;
  std::string file;

  std::string place(const std::string& metric) const { return file + ": " + metric; }
  std::string place(const std::string& metric, const std::string& item, const std::string& field) const {
    return place(metric) + ".value_by_index[" + item + "]" + (field.empty() ? "" : "." + field);
  }

  // Null where the log has none.
  Json metric(const std::string& name) const {
    const Json value = json.value(name, Json());
    if (!value.is_null() && !value.is_object() && !value.is_number())
      throw BadData({place(name), std::string("is a JSON ") + value.type_name(),
                     "it must be {\"agg_value\", \"value_by_index\"}, in a summary a number: evaluate it again"});
    return value;
  }

  // The mean that the log tells.
  std::optional<double> mean(const std::string& name) const {
    const Json found = metric(name);
    const Json value = found.is_object() ? found.value("agg_value", Json()) : found;
    if (value.is_null()) return {};
    return logged_fraction(value, place(name) + (found.is_object() ? ".agg_value" : ""));
  }

  // Values by item; an empty object where the log has none.
  Json items(const std::string& name) const {
    const Json found = metric(name);
    const Json values = found.is_object() ? found.value("value_by_index", Json()) : Json();
    if (values.is_null()) return Json::object();
    if (!values.is_object() || values.empty())
      throw BadData({place(name) + ".value_by_index",
                     values.is_object() ? "holds no item" : std::string("is a JSON ") + values.type_name(),
                     "it must be an object keyed by item: evaluate the metric again"});
    return values;
  }
};

void expect_same_items(const std::vector<TofuLogItem>& items, const Json& values, const std::string& where) {
  for (const auto& item : items)
    if (!values.contains(item.key))
      throw BadData({where, "has no item " + item.key + ", which other metrics of the set have",
                     "all metrics of a set must cover the same items: evaluate them again"});
  if (values.size() == items.size()) return;
  for (const auto& [key, value] : values.items())
    if (std::ranges::find(items, key, &TofuLogItem::key) == items.end())
      throw BadData({where, "has item " + key + ", which other metrics of the set have not",
                     "all metrics of a set must cover the same items: evaluate them again"});
}

// Calls take(item, its values, where they are) for each item of a metric, and none where the log has no items of it.
template <class Take>
void each_item(const Source& log, TofuLogSet& set, const std::string& metric, const Take& take) {
  const Json values = log.items(metric);
  if (values.empty()) return;
  if (set.items.empty())
    for (const auto& [key, value] : values.items()) set.items.emplace_back().key = key;
  expect_same_items(set.items, values, log.place(metric) + ".value_by_index");
  for (auto& item : set.items) {
    const Json& value = values.at(item.key);
    if (!value.is_object())
      throw BadData({log.place(metric, item.key, ""), std::string("is a JSON ") + value.type_name() + ", not an object",
                     "it must hold the item's values: evaluate the metric again"});
    take(item, value);
  }
}

// A single answer's loss stands alone, those of several are a list.
std::vector<double> losses(const Source& log, const std::string& metric, const TofuLogItem& item, const Json& values) {
  const std::string where = log.place(metric, item.key, "avg_loss");
  const Json loss = values.value("avg_loss", Json());
  return loss.is_array() ? logged_losses(loss, where) : std::vector{logged_loss(loss, where)};
}

double mean_loss(const Source& log, const std::string& metric, const TofuLogItem& item, const Json& values) {
  const auto all = losses(log, metric, item, values);
  return std::accumulate(all.begin(), all.end(), 0.0) / static_cast<double>(all.size());
}

void read_truth_ratios(const Source& log, const SetMetrics& metrics, TofuLogSet& set) {
  each_item(log, set, metrics.paraphrased, [&](TofuLogItem& item, const Json& values) {
    item.paraphrased_loss = mean_loss(log, metrics.paraphrased, item, values);
  });
  each_item(log, set, metrics.wrong, [&](TofuLogItem& item, const Json& values) {
    item.wrong_losses = losses(log, metrics.wrong, item, values);
    expect_as_many_wrong(item, set.items.front(), log.place(metrics.wrong, item.key, "avg_loss"));
  });
}

void read_rouge(const Source& log, const SetMetrics& metrics, TofuLogSet& set) {
  each_item(log, set, metrics.rouge, [&](TofuLogItem& item, const Json& values) {
    const auto place = [&](const char* field) { return log.place(metrics.rouge, item.key, field); };
    item.rouge_l_recall = logged_fraction(values.value("rougeL_recall", Json()), place("rougeL_recall"));
    const Json generated = values.value("generation", Json()), reference = values.value("ground_truth", Json());
    if (generated.is_null() && reference.is_null()) return;
    for (const auto& [field, text] : {std::pair("generation", &generated), std::pair("ground_truth", &reference)})
      if (!text->is_string())
        throw BadData({place(field), std::string("is ") + text->type_name(), "it must be a text"});
    item.texts = {generated.get<std::string>(), reference.get<std::string>()};
  });
  const auto has_texts = [](const TofuLogItem& item) { return item.texts.has_value(); };
  if (!std::ranges::all_of(set.items, has_texts))
    for (auto& item : set.items) item.texts.reset();
}

TofuLogSet read_set(const Source& log, const SetMetrics& metrics) {
  TofuLogSet set;
  each_item(log, set, metrics.answer, [&](TofuLogItem& item, const Json& values) {
    item.answer_loss = mean_loss(log, metrics.answer, item, values);
  });
  read_truth_ratios(log, metrics, set);
  read_rouge(log, metrics, set);
  set.rouge_l = log.mean(metrics.rouge);
  set.probability = log.mean(metrics.probability);
  set.truth_ratio = log.mean(metrics.truth_ratio);
  return set;
}

constexpr const char* audits[] = {"exact_memorization",  "extraction_strength", "mia_loss",     "mia_zlib", "mia_min_k",
                                  "mia_min_k_plus_plus", "mia_reference",       "mia_gradnorm", "privleak"};

double number_of(const Json& value, const std::string& where) {
  if (!value.is_number())
    throw BadData({where, std::string("is ") + value.type_name(), "it must be a finite number: evaluate it again"});
  return value.get<double>();
}

// Of one of the two sets that membership is told between; empty where the log has none by item.
std::vector<double> membership_scores(const Source& log, const std::string& name, const char* set) {
  const Json found = log.metric(name), part = found.is_object() ? found.value(set, Json()) : Json();
  const Json values = part.is_object() ? part.value("value_by_index", Json()) : Json();
  std::vector<double> scores;
  if (!values.is_object()) return scores;
  for (const auto& [item, value] : values.items()) {
    const std::string where = log.place(name) + "." + set + ".value_by_index[" + item + "].score";
    scores.push_back(number_of(value.is_object() ? value.value("score", Json()) : Json(), where));
  }
  return scores;
}

std::map<std::string, LoggedAudit> read_audits(const Source& log) {
  std::map<std::string, LoggedAudit> all;
  for (const std::string name : audits) {
    const Json found = log.metric(name);
    if (found.is_null()) continue;
    const Json mean = found.is_object() ? found.value("agg_value", Json()) : found;
    LoggedAudit audit{{}, membership_scores(log, name, "forget"), membership_scores(log, name, "holdout")};
    if (!mean.is_null()) audit.told = number_of(mean, log.place(name) + (found.is_object() ? ".agg_value" : ""));
    all.emplace(name, std::move(audit));
  }
  return all;
}

}  // namespace

bool is_open_unlearning_log(const Json& json) {
  for (const auto& metrics : all_metrics)
    for (const char* name :
         {metrics.answer, metrics.paraphrased, metrics.wrong, metrics.rouge, metrics.probability, metrics.truth_ratio})
      if (json.contains(name)) return true;
  return json.contains("model_utility") || json.contains("forget_quality");
}

TofuLog read_open_unlearning_log(const Json& json, const std::filesystem::path& file, TofuLogPart part) {
  const Source source{json, file.string()};
  TofuLog log;
  log.audits = read_audits(source);
  for (const auto& metrics : all_metrics)
    if (part == TofuLogPart::all)
      log.*metrics.set = read_set(source, metrics);
    else if (metrics.set == &TofuLog::forget)
      read_truth_ratios(source, metrics, log.forget);
  if (part == TofuLogPart::all) {
    log.model_utility = source.mean("model_utility");
    log.forget_quality = source.mean("forget_quality");
  }
  return log;
}

}  // namespace cmc::data
