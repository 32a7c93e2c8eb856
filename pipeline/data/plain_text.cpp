#include "pipeline/data/plain_text.hpp"

#include "pipeline/data/record.hpp"

namespace cmc::data {

Dataset<std::string> read_texts(const std::filesystem::path& file, size_t limit) {
  auto dataset = describe<std::string>(file);
  read_records(file, [&](const Record& record) {
    std::string text = record.text("text");
    if (dataset.items.size() < limit) dataset.items.push_back(std::move(text));
  });
  return dataset;
}

}  // namespace cmc::data
