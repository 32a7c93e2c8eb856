#include "pipeline/data/gsm8k.hpp"

#include <algorithm>

#include "pipeline/data/record.hpp"

namespace cmc::data {

std::string final_number(std::string_view answer) {
  const size_t mark = answer.rfind("####");
  if (mark == std::string_view::npos) return {};
  std::string number(strip(answer.substr(mark + 4)));
  std::erase(number, ',');
  return number;
}

Dataset<QuestionAnswer> read_gsm8k(const std::filesystem::path& file, size_t limit) {
  auto dataset = describe<QuestionAnswer>(file);
  read_records(file, [&](const Record& record) {
    QuestionAnswer item{record.text("question"), record.text("answer")};
    if (final_number(item.answer).empty())
      record.refuse("answer", "has no final number", "its last line must be \"#### NUMBER\"");
    if (dataset.items.size() < limit) dataset.items.push_back(std::move(item));
  });
  return dataset;
}

}  // namespace cmc::data
