#pragma once
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "pipeline/records/evaluation_parameters.hpp"
#include "stages/planning/planner.hpp"

// How much the experiment's data sets hold: read, or as published where a plan may assume so (AbsentInputs).
namespace cmc::stages {

// How many of `there` an experiment asks for; 0: all.
inline int64_t taken(int64_t asked, int64_t there) {
  return asked > 0 ? std::min(asked, there) : there;
}

// Items 0 … items in parts of `unit`, the last one shorter.
std::vector<records::Slice> slices_of(int64_t items, int64_t unit);
// "0-31", in a task's name.
std::string shown(const records::Slice& slice);

// AlpacaEval's prompts.
struct EvaluationPrompts {
  int64_t count = 0;
  std::vector<std::string> questions;  // [count]; empty: not known yet
  std::string reference;               // whose outputs stand beside them; "": not known
};
EvaluationPrompts evaluation_prompts(Planner& planner);

// IFEval's; what their instructions ask is checked where they are read. Throws as data::read_ifeval and
// ifeval::Instruction do.
struct IfevalPrompts {
  int64_t count = 0;
  std::vector<std::string> prompts;  // [count]; empty: not known yet
};
IfevalPrompts ifeval_prompts(Planner& planner);

// Instruction pairs: a file that ends in .jsonl is GSM8K's, any other one Alpaca's.
int64_t instruction_pairs(Planner& planner, const std::filesystem::path& file);

// Items of `stem`.json of TOFU.
int64_t tofu_items(Planner& planner, const std::string& stem);
// Throws BadData naming the first of its `items` that has no paraphrased question.
void expect_paraphrased_questions(Planner& planner, const std::string& stem, int64_t items);

}  // namespace cmc::stages
