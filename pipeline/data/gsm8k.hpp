#pragma once
#include <filesystem>
#include <string>
#include <string_view>

#include "pipeline/data/dataset.hpp"

namespace cmc::data {

// GSM8k (Cobbe et al. 2021): JSON lines with `question` and `answer`, whose last line is "#### NUMBER".
// Throws MissingInput or BadData naming file, line and field.
Dataset<QuestionAnswer> read_gsm8k(const std::filesystem::path& file, size_t limit = all_items);

// The number after the last "####", without commas and the white space around it ("1,234" gives "1234"); empty where
// there is none, so that a model's answer can be asked the same.
std::string final_number(std::string_view answer);

}  // namespace cmc::data
