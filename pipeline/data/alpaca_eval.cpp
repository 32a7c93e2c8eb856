#include "pipeline/data/alpaca_eval.hpp"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"
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
  read_records(file, [&](const Record& record) {
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

size_t AlpacaEvalVerdicts::judged() const {
  const auto is_preference = [](double number) { return number == 0 || (number >= 1 && number <= 2); };
  return static_cast<size_t>(std::ranges::count_if(preferences, is_preference));
}

std::vector<AlpacaEvalVerdicts> read_alpaca_eval_verdicts(const std::filesystem::path& file) {
  std::vector<AlpacaEvalVerdicts> all;
  read_records(file, [&](const Record& record) {
    const auto name = [&](const char* field) { return record.text_or(field, "", Blank::allowed); };
    AlpacaEvalVerdicts one{name("generator_1"), name("generator_2"), name("annotator"), {}, {}, {}, {}};
    auto known = std::ranges::find_if(all, [&](const AlpacaEvalVerdicts& other) {
      return other.reference == one.reference && other.model == one.model && other.annotator == one.annotator;
    });
    if (known == all.end()) known = all.insert(known, std::move(one));
    known->preferences.push_back(record.number_or("preference", std::numeric_limits<double>::quiet_NaN()));
    known->instructions.push_back(name("instruction"));
    for (const auto& [field, lengths] :
         {std::pair("output_1", &known->reference_lengths), std::pair("output_2", &known->model_lengths)})
      if (record.has(field))
        lengths->push_back(static_cast<int64_t>(count_code_points(record.text(field, Blank::allowed))));
  });
  for (auto& verdicts : all)
    if (std::min(verdicts.reference_lengths.size(), verdicts.model_lengths.size()) < verdicts.preferences.size())
      verdicts.reference_lengths.clear(), verdicts.model_lengths.clear();
  size_t items = 0, judged = 0;
  for (const auto& verdicts : all) {
    items += verdicts.preferences.size();
    judged += verdicts.judged();
  }
  if (judged == 0)
    throw BadData({file.string() + ": preference",
                   "is nowhere a number from 1 to 2 in " + std::to_string(items) + " items",
                   "give alpaca_eval's annotations.json, not its model outputs, with at least one judged pair"});
  return all;
}

}  // namespace cmc::data
