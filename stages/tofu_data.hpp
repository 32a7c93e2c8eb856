#pragma once
#include <string>
#include <vector>

#include "pipeline/data/dataset.hpp"
#include "pipeline/text/tokenizer.hpp"
#include "pipeline/train/example.hpp"
#include "stages/planner.hpp"
#include "stages/workbench.hpp"

namespace cmc::stages {

// The TOFU files an experiment forgets and retains, as task parameters: {"forget", "retain", "retain_items", files…}.
Json tofu_split(Planner& planner, int64_t retain_items);

struct TofuSplit {
  std::vector<data::QuestionAnswer> forget, retain;
};
// The items of tofu_split's parameters. Throws BadData when a file is not the one that was planned with.
TofuSplit read_tofu_split(const Json& parameters, const Workbench& bench);

// The protocol's TOFU prompt on every model: "[INST] {q} [/INST]".
std::string tofu_prompt(const std::string& question);

std::vector<train::Example> tofu_examples(const std::vector<data::QuestionAnswer>& items, const text::Tokenizer& tokenizer,
                                          int64_t max_tokens);

}  // namespace cmc::stages
