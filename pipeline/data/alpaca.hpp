#pragma once
#include <filesystem>
#include <string>
#include <string_view>

#include "pipeline/data/dataset.hpp"

namespace cmc::data {

// Alpaca (Taori et al. 2023) and GPT4-Alpaca (Peng et al. 2023): a JSON array of objects with `instruction`, `output`
// and an optional `input`. The question joins instruction and input; the answer is the output without the white space
// at its ends, both as open-instruct's encode_instruction_example does. An empty output is kept: the model learns to
// stop. Throws MissingInput or BadData naming file, index and field.
Dataset<QuestionAnswer> read_alpaca(const std::filesystem::path& file, size_t limit = all_items);

// "instruction\n\ninput", each without the white space at its ends; the instruction alone where `input` is blank.
std::string join_instruction(std::string_view instruction, std::string_view input);

}  // namespace cmc::data
