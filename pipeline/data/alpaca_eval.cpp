#include "pipeline/data/alpaca_eval.hpp"

#include <unordered_map>

#include "pipeline/data/record.hpp"

namespace cmc::data {

Dataset<AlpacaEvalItem> read_alpaca_eval(const std::filesystem::path& file, size_t limit) {
  auto dataset = describe<AlpacaEvalItem>(file);
  std::unordered_map<std::string, std::string> places;
  read_array(file, [&](const Record& record) {
    AlpacaEvalItem item{record.text("instruction"), record.text("output", Blank::allowed), record.text("generator"),
                        record.text_or("dataset", "", Blank::allowed)};
    const auto [first, is_new] = places.emplace(item.instruction, record.where());
    if (!is_new)
      record.refuse("instruction", "occurs already at " + first->second,
                    "outputs are paired by prompt: keep one of them");
    if (dataset.items.size() < limit) dataset.items.push_back(std::move(item));
  });
  return dataset;
}

}  // namespace cmc::data
