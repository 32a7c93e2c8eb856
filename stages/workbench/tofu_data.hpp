#pragma once
#include <string>
#include <vector>

#include "pipeline/data/dataset.hpp"
#include "pipeline/text/prompt_template.hpp"
#include "pipeline/text/tokenizer.hpp"
#include "pipeline/train/trainer.hpp"
#include "stages/planning/planner.hpp"
#include "stages/workbench/workbench.hpp"

namespace cmc::stages {

// The TOFU files an experiment forgets and retains.
records::TofuSplit tofu_split(Planner& planner, int64_t retain_items);

struct TofuItems {
  std::vector<data::QuestionAnswer> forget, retain;
};
// Throws BadData when a file is not the one that was planned with.
TofuItems read_tofu_split(const records::TofuSplit& split, const Workbench& bench);

// How a TOFU question is asked, and what its answer begins with, as a task names it.
class TofuPrompt {
 public:
  explicit TofuPrompt(const records::TofuPrompt& planned)
      : prompt_(prompt_template(planned.question)), before_answer_(planned.before_answer) {}
  std::string question(const std::string& question) const { return prompt_(question); }
  const text::PromptTemplate& question_template() const { return prompt_; }
  std::string answer(const std::string& answer) const { return before_answer_ + answer; }

 private:
  text::PromptTemplate prompt_;
  std::string before_answer_;
};

std::vector<train::Example> tofu_examples(const std::vector<data::QuestionAnswer>& items,
                                          const records::TofuSplit& split, const text::Tokenizer& tokenizer,
                                          int64_t max_tokens);

// What an unlearning reads: forgotten and retained examples, and what the objective needs beside them (refusals of idk
// and dpo, drawn anew each epoch; labels on the whole text of retained examples for kl).
train::TrainData unlearning_data(const records::TofuSplit& split, int64_t max_tokens,
                                 const train::TrainSettings& settings, const text::Tokenizer& tokenizer,
                                 const Workbench& bench);

}  // namespace cmc::stages
