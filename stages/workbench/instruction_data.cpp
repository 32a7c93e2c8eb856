#include "stages/workbench/instruction_data.hpp"

#include <algorithm>

#include "pipeline/data/alpaca.hpp"
#include "pipeline/data/gsm8k.hpp"
#include "stages/planning/planned_data.hpp"

namespace cmc::stages {

namespace {

// A file that ends in .jsonl is GSM8k's, any other one Alpaca's.
data::Dataset<data::QuestionAnswer> read_pairs(const std::filesystem::path& path, int64_t items) {
  const size_t limit = items > 0 ? static_cast<size_t>(items) : data::all_items;
  return path.extension() == ".jsonl" ? data::read_gsm8k(path, limit) : data::read_alpaca(path, limit);
}

// Each of the first `count` gets the answer that stands half of them further on: no question keeps its own.
void exchange_answers(std::vector<data::QuestionAnswer>& pairs, int64_t count) {
  std::vector<std::string> answers;
  for (int64_t i = 0; i < count; ++i) answers.push_back(pairs[static_cast<size_t>(i)].answer);
  std::ranges::rotate(answers, answers.begin() + count / 2);
  for (int64_t i = 0; i < count; ++i) pairs[static_cast<size_t>(i)].answer = std::move(answers[static_cast<size_t>(i)]);
}

}  // namespace

records::InstructionPairs instruction_data(Planner& planner, const std::filesystem::path& file, int64_t items) {
  const auto& path = planner.experiment().given(file);
  const int64_t all = instruction_pairs(planner, path);
  return {items > 0 ? std::min(items, all) : all, planner.file(path), prompt_of_style(text::PromptStyle::open_instruct),
          false};
}

std::vector<train::Example> instruction_examples(const records::InstructionPairs& planned,
                                                 const text::Tokenizer& tokenizer, int64_t max_tokens,
                                                 const Workbench& bench, int64_t held_out) {
  const auto path = bench.file(planned.file);
  auto pairs = read_pairs(path, planned.items);
  expect_planned(path, pairs.content_hash, planned.file);
  if (planned.answers_of_others) exchange_answers(pairs.items, std::ssize(pairs.items) - held_out);
  const auto prompt = prompt_template(planned.prompt);
  std::vector<train::Example> examples;
  for (const auto& pair : pairs.items)
    examples.push_back(
        train::encode_instruction(tokenizer, prompt(pair.question), pair.answer, {max_tokens, max_tokens}));
  return examples;
}

}  // namespace cmc::stages
