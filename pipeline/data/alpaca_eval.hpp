#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "pipeline/data/dataset.hpp"

namespace cmc::data {

// What a program can check on a response, in the terms of metrics::Instruction; that layer knows which rules there are
// and what they need.
struct ResponseCheck {
  std::string rule;                // "contains_all"
  std::vector<std::string> words;  // may be empty
  std::string of;                  // "format", or "fact": form and truth are counted apart
  size_t least = 0;                // with `most`: what a count must lie between
  size_t most = std::numeric_limits<size_t>::max();
};

// One prompt of AlpacaEval with the output of `generator`: the reference's, or a model's in the same form.
struct AlpacaEvalItem {
  std::string instruction;  // as it is in the file: the judge compares it byte for byte
  std::string output;       // may be empty
  std::string generator;    // "text_davinci_003"
  std::string dataset;      // helpful_base, koala, oasst, selfinstruct, vicuna; empty where the file has none
  std::vector<ResponseCheck> checks = {};  // all must hold; empty where the file has none
};

// A JSON array of objects with `instruction`, `output`, `generator`, and optionally `dataset` and `checks` (a list of
// {"rule", "of", "words"?, "least"?, "most"?}, of this project alone). Other fields are left alone, so is alpaca_farm's
// `input`, which its `instruction` holds already. Throws MissingInput or BadData naming file, index and field; a prompt
// that occurs twice is an error, since outputs are paired by it.
Dataset<AlpacaEvalItem> read_alpaca_eval(const std::filesystem::path& file, size_t limit = all_items);

// What one judge said of one model beside one reference, in the order of the file. A name is empty where the file says
// none.
struct AlpacaEvalVerdicts {
  std::string reference, model, annotator;  // generator_1, generator_2, annotator
  std::vector<double> preferences;          // of each pair
  // Of each pair, code points; empty where any of them has no output_1 and output_2.
  std::vector<int64_t> reference_lengths, model_lengths;
  std::vector<std::string> instructions;  // of each pair; "" where it has none
  size_t judged() const;                  // how many of them are 0 or from 1 to 2
};

// alpaca_eval's annotations.json: a JSON array of objects with `preference`, 1 (the reference wins) to 2 (the model
// wins), 0 in older files for a draw; NaN where it is missing or null, that is where the judge failed. Other numbers
// stay as they are. A file may hold several models and judges: never are they mixed. Throws MissingInput or BadData
// naming file, index and field; one without any preference is an error.
std::vector<AlpacaEvalVerdicts> read_alpaca_eval_verdicts(const std::filesystem::path& file);

}  // namespace cmc::data
