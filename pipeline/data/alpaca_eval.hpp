#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "pipeline/data/dataset.hpp"

namespace cmc::data {

// One prompt of AlpacaEval with the output of `generator`: the reference's, or a model's in the same form.
struct AlpacaEvalItem {
  std::string instruction;  // as it is in the file: the judge compares it byte for byte
  std::string output;       // may be empty
  std::string generator;    // "text_davinci_003"
  std::string dataset;      // helpful_base, koala, oasst, selfinstruct, vicuna; empty where the file has none
};

// A JSON array of objects with `instruction`, `output`, `generator` and an optional `dataset`. Other fields are left
// alone, so is alpaca_farm's `input`, which its `instruction` holds already. Throws MissingInput or
// BadData naming file, index and field; a prompt that occurs twice is an error, since outputs are paired by it.
Dataset<AlpacaEvalItem> read_alpaca_eval(const std::filesystem::path& file, size_t limit = all_items);

// What a judge preferred, from alpaca_eval's annotations.json: a JSON array of objects with `preference`, 1 (the
// reference wins) to 2 (the model wins), 0 in older files for a draw; NaN where it is missing or null, that is where the
// judge failed. Other numbers stay as they are. Throws MissingInput or BadData naming file, index and field; a file
// without any preference is an error.
std::vector<double> read_alpaca_eval_preferences(const std::filesystem::path& file);

}  // namespace cmc::data
