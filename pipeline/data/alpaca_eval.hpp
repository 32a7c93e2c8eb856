#pragma once
#include <filesystem>
#include <string>

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

}  // namespace cmc::data
