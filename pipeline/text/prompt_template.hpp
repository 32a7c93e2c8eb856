#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/text/tokenizer.hpp"

namespace cmc::text {

// How a question is written for a model.
//   plain            "{q}"
//   open_instruct    "<|user|>\n{q}\n<|assistant|>\n"    (protocol: training, and the delta's side of decoding)
//   inst             "[INST] {q} [/INST]"                (TOFU on the chat models; published spelling)
//   question_answer  "Question: {q}\nAnswer:"            (TOFU on models that know no chat)
//   chat             the checkpoint's own chat template, one user turn, generation prompt added
//   text             given: what stands before and after the question
enum class PromptStyle { plain, open_instruct, inst, question_answer, chat, text };

PromptStyle prompt_style(std::string_view name);  // throws BadExperiment naming the known styles
std::string_view name_of(PromptStyle style);

// White space (as Python's str.strip has it) that a chat template takes from a question's ends.
enum class Strip { none, both, left, right };

Strip strip_named(std::string_view name);  // throws BadData naming the known ones
std::string_view name_of(Strip strip);

// A prompt is the text before the question, the question, and the text after it.
struct PromptTemplate {
  PromptStyle style = PromptStyle::plain;
  std::string before, after;
  Strip strip = Strip::none;
  // Of `chat`: texts at which the template writes a question in another way; "" stands for a question of nothing.
  std::vector<std::string> marks = {};

  // The prompt's text. Throws BadData for a question that cannot be written so.
  std::string operator()(std::string_view question) const;
  bool can_write(std::string_view question) const;
  // The prompt as a model reads it. A chat template writes all of it, where it wants one also the begin token: to its
  // text the tokenizer adds nothing, as in transformers' apply_chat_template. Any other style gets what the tokenizer
  // adds; but a given text that writes the begin token itself gets no second one.
  std::vector<int32_t> tokens(std::string_view question, const Tokenizer& tokenizer) const;

 private:
  std::string_view stripped(std::string_view question) const;
  const std::string* mark_in(std::string_view question) const;
};

// Of the styles that are the same for every model.
PromptTemplate fixed_prompt(PromptStyle style);

}  // namespace cmc::text
