#include "pipeline/data/alpaca_eval.hpp"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "pipeline/core/error.hpp"
#include "pipeline/data/record.hpp"

namespace cmc::data {
namespace {

ResponseCheck read_check(const Record& record) {
  ResponseCheck check{record.text("rule"), {}, record.text("of")};
  if (record.has("words")) check.words = record.texts("words");
  check.least = record.count_or("least", check.least);
  check.most = record.count_or("most", check.most);
  if (check.of != "format" && check.of != "fact") record.refuse("of", "is \"" + check.of + "\"", "use format or fact");
  if (check.least > check.most) record.refuse("least", "is above most", "give an ascending range");
  return check;
}

}  // namespace

Dataset<AlpacaEvalItem> read_alpaca_eval(const std::filesystem::path& file, size_t limit) {
  auto dataset = describe<AlpacaEvalItem>(file);
  std::unordered_map<std::string, std::string> places;
  read_array(file, [&](const Record& record) {
    AlpacaEvalItem item{record.text("instruction"), record.text("output", Blank::allowed), record.text("generator"),
                        record.text_or("dataset", "", Blank::allowed)};
    for (const auto& check : record.objects("checks")) item.checks.push_back(read_check(check));
    const auto [first, is_new] = places.emplace(item.instruction, record.where());
    if (!is_new)
      record.refuse("instruction", "occurs already at " + first->second,
                    "outputs are paired by prompt: keep one of them");
    if (dataset.items.size() < limit) dataset.items.push_back(std::move(item));
  });
  return dataset;
}

std::vector<double> read_alpaca_eval_preferences(const std::filesystem::path& file) {
  std::vector<double> preferences;
  read_array(file, [&](const Record& record) {
    preferences.push_back(record.number_or("preference", std::numeric_limits<double>::quiet_NaN()));
  });
  const auto is_one = [](double preference) { return preference == 0 || (preference >= 1 && preference <= 2); };
  if (std::ranges::none_of(preferences, is_one))
    throw BadData({file.string() + ": preference",
                   "is nowhere a number from 1 to 2 in " + std::to_string(preferences.size()) + " items",
                   "give alpaca_eval's annotations.json, not its model outputs, with at least one judged pair"});
  return preferences;
}

}  // namespace cmc::data
