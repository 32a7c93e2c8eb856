#pragma once
#include <string>

#include "pipeline/train/example.hpp"
#include "stages/planning/planner.hpp"
#include "stages/workbench/workbench.hpp"

namespace cmc::stages {

// The first `items` (0: all) instruction pairs of a file of the experiment, data.alpaca or data.other.
records::InstructionPairs instruction_data(Planner& planner, const std::filesystem::path& file, int64_t items);

// The pairs, each as an open-instruct prompt and its answer; a file that ends in .jsonl is GSM8k's, any other one
// Alpaca's. The last `held_out` keep their own answers, whatever the others have. Throws BadData when the file is not
// the one that was planned with.
std::vector<train::Example> instruction_examples(const records::InstructionPairs& pairs,
                                                 const text::Tokenizer& tokenizer, int64_t max_tokens,
                                                 const Workbench& bench, int64_t held_out = 0);

}  // namespace cmc::stages
