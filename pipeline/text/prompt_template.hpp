#pragma once
#include <filesystem>
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
enum class PromptStyle { plain, open_instruct, inst, question_answer, chat };

PromptStyle prompt_style(std::string_view name);  // throws BadExperiment naming the known styles
std::string_view name_of(PromptStyle style);

// Whether the model's folder tells how to write a chat, so that `chat` can be asked for.
bool has_chat_template(const std::filesystem::path& model_folder);

class PromptTemplate {
 public:
  // For `chat`, reads chat_template from `model_folder` (tokenizer_config.json or chat_template.jinja) and recognises
  // the family (Llama-2/3, Mistral, Gemma, Qwen/ChatML, SmolLM); an unknown one throws BadData naming the known
  // families.
  PromptTemplate(PromptStyle style, const std::filesystem::path& model_folder);
  std::string operator()(std::string_view question) const;
  // The prompt as a model reads it. A chat template writes all of it, where it wants one also the begin token: to its
  // text the tokenizer adds nothing, as in transformers' apply_chat_template. Any other style gets what the tokenizer
  // adds.
  std::vector<int32_t> tokens(std::string_view question, const Tokenizer& tokenizer) const;
  bool writes_begin_token() const;

 private:
  PromptStyle style_;
  std::string before_, after_;
  bool trimmed_ = false;  // the template strips white space around the question
  bool writes_begin_ = false;
};

}  // namespace cmc::text
