#include "pipeline/data/tofu_log.hpp"

#include <algorithm>
#include <utility>

#include "pipeline/core/error.hpp"
#include "pipeline/data/open_unlearning_log.hpp"
#include "pipeline/data/record.hpp"

namespace cmc::data {
namespace {

using Items = std::vector<TofuLogItem>;
using Fields = std::vector<std::string>;

const std::pair<const char*, TofuLogSet TofuLog::*> sets[] = {
    {"eval_log.json", &TofuLog::retain},
    {"eval_real_author_wo_options.json", &TofuLog::real_authors},
    {"eval_real_world_wo_options.json", &TofuLog::world_facts},
    {"eval_log_forget.json", &TofuLog::forget}};

Fields needed_fields(TofuLogPart part) {
  Fields fields = {"avg_paraphrased_loss", "average_perturb_loss"};
  if (part == TofuLogPart::all) fields.insert(fields.begin(), {"avg_gt_loss", "rougeL_recall"});
  return fields;
}

std::string absent_from(const Json& object, const Fields& names) {
  std::string absent;
  for (const auto& name : names)
    if (!object.contains(name) || object.at(name).is_null()) absent += (absent.empty() ? "" : ", ") + name;
  return absent;
}

void check_same_items(const Json& set, const std::string& with, const std::string& without, const std::string& where) {
  for (const auto& [item, value] : set.at(with).items())
    if (!set.at(without).contains(item))
      throw BadData({where + ": " + without, "has no item " + item + ", which " + with + " has",
                     "every field must cover the same items: evaluate the set again"});
}

// `fields` are there, keyed by item, and cover the same items.
void check_fields(const Json& set, const Fields& fields, const std::string& where) {
  if (!set.is_object())
    throw BadData(
        {where, std::string("is a JSON ") + set.type_name() + ", not an object", "it must hold the set's fields"});
  if (const auto absent = absent_from(set, fields); !absent.empty())
    throw BadData({where, "lacks " + absent, "evaluate the set again with TOFU's evaluate_util.py"});
  for (const auto& field : fields)
    if (!set.at(field).is_object())
      throw BadData({where + ": " + field,
                     std::string("is a JSON ") + set.at(field).type_name() + ", not an object keyed by item",
                     "early versions of TOFU wrote lists; evaluate again with a later one"});
  if (set.at(fields[0]).empty()) throw BadData({where + ": " + fields[0], "holds no item", "evaluate the set again"});
  for (size_t i = 1; i < fields.size(); ++i) {
    check_same_items(set, fields[0], fields[i], where);
    check_same_items(set, fields[i], fields[0], where);
  }
}

LoggedTexts texts(const Json& triple, const std::string& where) {
  const auto is_text = [](const Json& part) { return part.is_string(); };
  if (!triple.is_array() || triple.size() != 3 || !std::ranges::all_of(triple, is_text))
    throw BadData({where, "is not [prompt, generated, reference]", "it must be a list of three texts"});
  return {triple[1].get<std::string>(), triple[2].get<std::string>()};
}

Items read_set(const Json& set, TofuLogPart part, const std::string& where) {
  Fields fields = needed_fields(part);
  const bool has_texts = part == TofuLogPart::all && set.is_object() && absent_from(set, {"generated_text"}).empty();
  if (has_texts) fields.push_back("generated_text");
  check_fields(set, fields, where);
  Items items;
  for (const auto& [key, value] : set.at(fields[0]).items()) {
    const auto place = [&, item = key](const std::string& field) { return where + ": " + field + "[" + item + "]"; };
    const auto at = [&, item = key](const char* field) -> const Json& { return set.at(field).at(item); };
    TofuLogItem& item = items.emplace_back();
    item.key = key;
    item.paraphrased_loss = logged_loss(at("avg_paraphrased_loss"), place("avg_paraphrased_loss"));
    item.wrong_losses = logged_losses(at("average_perturb_loss"), place("average_perturb_loss"));
    expect_as_many_wrong(item, items[0], place("average_perturb_loss"));
    if (part != TofuLogPart::all) continue;
    item.answer_loss = logged_loss(at("avg_gt_loss"), place("avg_gt_loss"));
    item.rouge_l_recall = logged_fraction(at("rougeL_recall"), place("rougeL_recall"));
    if (has_texts) item.texts = texts(at("generated_text"), place("generated_text"));
  }
  return items;
}

TofuLog read_official_log(const Json& json, const std::filesystem::path& file, TofuLogPart part) {
  Fields names;
  for (const auto& [name, member] : sets)
    if (part == TofuLogPart::all || member == &TofuLog::forget) names.push_back(name);
  if (const auto absent = absent_from(json, names); !absent.empty())
    throw BadData(
        {file.string(), "lacks " + absent,
         json.contains("avg_paraphrased_loss")
             ? "this is the log of one set: give eval_log_aggregated.json"
             : "give eval_log_aggregated.json or open-unlearning's TOFU_EVAL.json, or evaluate what is missing"});
  TofuLog log;
  for (const auto& [name, member] : sets)
    if (part == TofuLogPart::all || member == &TofuLog::forget)
      (log.*member).items = read_set(json.at(name), part, file.string() + ": " + name);
  return log;
}

}  // namespace

TofuLog read_tofu_log(const std::filesystem::path& file, TofuLogPart part) {
  const Json json = read_document(file);
  if (!json.is_object())
    throw BadData({file.string(), std::string("is a JSON ") + json.type_name() + ", not an object",
                   "give eval_log_aggregated.json or open-unlearning's TOFU_EVAL.json"});
  TofuLog log =
      is_open_unlearning_log(json) ? read_open_unlearning_log(json, file, part) : read_official_log(json, file, part);
  log.file = file;
  log.content_hash = hash_of(file);
  return log;
}

}  // namespace cmc::data
