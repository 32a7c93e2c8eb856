#pragma once
#include <filesystem>
#include <string>

#include "pipeline/data/dataset.hpp"

namespace cmc::data {

// Texts to pre-train on: JSON lines with `text`, each one document. Throws MissingInput or BadData naming file, line
// and field.
Dataset<std::string> read_texts(const std::filesystem::path& file, size_t limit = all_items);

}  // namespace cmc::data
