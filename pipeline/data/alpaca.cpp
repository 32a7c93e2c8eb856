#include "pipeline/data/alpaca.hpp"

#include "pipeline/data/record.hpp"

namespace cmc::data {

std::string join_instruction(std::string_view instruction, std::string_view input) {
  std::string question(strip(instruction));
  if (!is_blank(input)) (question += "\n\n") += strip(input);
  return question;
}

Dataset<QuestionAnswer> read_alpaca(const std::filesystem::path& file, size_t limit) {
  auto dataset = describe<QuestionAnswer>(file);
  read_records(file, [&](const Record& record) {
    const std::string instruction = record.text("instruction");
    const std::string input = record.text_or("input", "", Blank::allowed);
    const std::string output = record.text("output", Blank::allowed);
    if (dataset.items.size() < limit)
      dataset.items.push_back({join_instruction(instruction, input), std::string(strip(output))});
  });
  return dataset;
}

}  // namespace cmc::data
