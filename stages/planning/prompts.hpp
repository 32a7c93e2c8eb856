#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "pipeline/records/prompt.hpp"
#include "pipeline/text/prompt_template.hpp"
#include "stages/experiment/experiment.hpp"

// Prompts are resolved where tasks are planned: what a task holds is text, and its run needs no chat template.
namespace cmc::stages {

// Of a style that is the same for every model.
records::Prompt prompt_of_style(text::PromptStyle style);

// The chat template of `model`'s folder as the text around a question, told `date`; held against `questions`, those
// that are known to be asked (text::chat_prompt).
records::Prompt chat_prompt(const std::filesystem::path& model_folder, const std::string& date,
                            const std::vector<std::string>& questions);

// Stands for that of a model that is not there.
records::Prompt prompt_not_known_yet();

// As the experiment asks: a fixed style, or a given text. Throws Internal for chat.
records::Prompt given_prompt(const sections::Prompt& setting);

// How a TOFU question is asked (unlearn.prompt), the same on every model, and how its answer follows:
//   inst             "[INST] {q} [/INST]{a}"          (protocol)
//   question_answer  "Question: {q}\nAnswer: {a}"     (TOFU's setting for models that know no chat)
//   text             as unlearn.prompt_before, unlearn.prompt_after and unlearn.before_answer say
records::TofuPrompt tofu_prompt(const sections::Unlearn& setting);

// The folder that the tokenizer of [model.NAME] and its chat template are read from; empty: unset.
const std::filesystem::path& prompt_folder(const sections::Model& model);

// What a task's run asks with.
text::PromptTemplate prompt_template(const records::Prompt& prompt);

}  // namespace cmc::stages
