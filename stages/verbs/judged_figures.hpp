#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/core/json.hpp"
#include "pipeline/metrics/length_controlled.hpp"

namespace cmc::stages {

// What judged pairs say of one model by one judge. Standard error: empty for a single pair; of no judged pair the rate,
// too.
struct JudgedFigures {
  std::string reference, model, annotator;
  std::optional<double> win_rate, standard_error;
  int64_t n = 0, missing = 0;
  std::optional<metrics::LengthControlledRate> length_controlled;
};

// How to control for length; "": not at all, and which files to read for it.
struct LengthControlInput {
  std::string form;            // "v1", "noreg", "minimal"
  std::string gamed, prompts;  // df_gamed.csv; the data set, in whose order the difficulties are
};

// Of each model and judge in alpaca_eval's annotations. Throws as data::read_alpaca_eval_verdicts; Usage for a form
// that is not known or lacks its file; BadData where outputs are missing, or pairs and difficulties do not go together.
std::vector<JudgedFigures> judged_figures(const std::string& file, const LengthControlInput& control);

// Of one model and judge its figures; of several {"groups": [the same with generator_1, generator_2, annotator]}.
Json to_json(const std::vector<JudgedFigures>& all);
void print(const std::vector<JudgedFigures>& all);

}  // namespace cmc::stages
