#include "pipeline/data/tofu_log.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "pipeline/core/error.hpp"
#include "pipeline/data/record.hpp"

namespace cmc::data {
namespace {

using Items = std::vector<TofuLogItem>;
using Fields = std::vector<std::string>;

const std::pair<const char*, Items TofuLog::*> sets[] = {{"eval_log.json", &TofuLog::retain},
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

// A number from 0 to `most`. Rounding may leave the loss of a certain answer a hair below 0.
double number(const Json& value, double most, const std::string& where) {
  if (!value.is_number())
    throw BadData({where, std::string("is ") + (value.is_null() ? "null, NaN or Infinity" : value.type_name()),
                   "it must be a number; a model that gives none cannot be scored"});
  const double x = value.get<double>();
  if (x < 0 && x > -1e-6) return 0;
  if (!(x >= 0 && x <= most))
    throw BadData(
        {where, "is " + value.dump(), most == 1 ? "a recall lies between 0 and 1" : "a loss is not negative"});
  return x;
}

std::vector<double> losses(const Json& list, const std::string& where) {
  if (!list.is_array() || list.empty())
    throw BadData({where, std::string("is ") + (list.is_array() ? "empty" : list.type_name()),
                   "it must be a list with the loss of each wrong answer"});
  std::vector<double> losses;
  for (size_t i = 0; i < list.size(); ++i)
    losses.push_back(number(list[i], std::numeric_limits<double>::max(), where + "[" + std::to_string(i) + "]"));
  return losses;
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
    const auto read = [&, item = key](const std::string& field, double most) {
      return number(set.at(field).at(item), most, place(field));
    };
    TofuLogItem& item = items.emplace_back();
    item.key = key;
    item.paraphrased_loss = read("avg_paraphrased_loss", std::numeric_limits<double>::max());
    item.wrong_losses = losses(set.at("average_perturb_loss").at(key), place("average_perturb_loss"));
    if (item.wrong_losses.size() != items[0].wrong_losses.size())
      throw BadData({place("average_perturb_loss"),
                     "has " + std::to_string(item.wrong_losses.size()) + " losses, item " + items[0].key + " has " +
                         std::to_string(items[0].wrong_losses.size()),
                     "the truth ratio compares items with equally many wrong answers: evaluate the set again"});
    if (part != TofuLogPart::all) continue;
    item.answer_loss = read("avg_gt_loss", std::numeric_limits<double>::max());
    item.rouge_l_recall = read("rougeL_recall", 1);
    if (has_texts) item.texts = texts(set.at("generated_text").at(key), place("generated_text"));
  }
  return items;
}

}  // namespace

TofuLog read_tofu_log(const std::filesystem::path& file, TofuLogPart part) {
  const Json json = read_document(file);
  if (!json.is_object())
    throw BadData({file.string(), std::string("is a JSON ") + json.type_name() + ", not an object",
                   "give eval_log_aggregated.json"});
  Fields names;
  for (const auto& [name, member] : sets)
    if (part == TofuLogPart::all || member == &TofuLog::forget) names.push_back(name);
  if (const auto absent = absent_from(json, names); !absent.empty())
    throw BadData({file.string(), "lacks " + absent,
                   json.contains("avg_paraphrased_loss")
                       ? "this is the log of one set: give eval_log_aggregated.json"
                       : "give eval_log_aggregated.json, or evaluate what is missing"});
  TofuLog log;
  log.file = file;
  log.content_hash = hash_of(file);
  for (const auto& [name, member] : sets)
    if (part == TofuLogPart::all || member == &TofuLog::forget)
      log.*member = read_set(json.at(name), part, file.string() + ": " + name);
  return log;
}

}  // namespace cmc::data
