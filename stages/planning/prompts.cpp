#include "stages/planning/prompts.hpp"

#include "pipeline/text/chat_prompt.hpp"

namespace cmc::stages {
namespace {

records::Prompt recorded(const text::PromptTemplate& prompt) {
  const std::string strip = prompt.strip == text::Strip::none ? "" : std::string(name_of(prompt.strip));
  return {std::string(name_of(prompt.style)), prompt.before, prompt.after, strip, prompt.marks, {}};
}

}  // namespace

records::Prompt prompt_of_style(text::PromptStyle style) {
  return recorded(text::fixed_prompt(style));
}

records::Prompt chat_prompt(const std::filesystem::path& model_folder, const std::string& date,
                            const std::vector<std::string>& questions) {
  text::ChatRenderer renderer(text::read_chat_template(model_folder), date);
  records::Prompt prompt = recorded(text::chat_prompt(renderer, questions));
  if (renderer.is_dated()) prompt.date = date;
  return prompt;
}

records::Prompt prompt_not_known_yet() {
  return recorded({text::PromptStyle::chat, "", ""});
}

records::Prompt given_prompt(const sections::Prompt& setting) {
  const auto style = text::prompt_style(setting.style);
  if (style == text::PromptStyle::text) return recorded({style, setting.before.text, setting.after.text});
  return prompt_of_style(style);
}

records::TofuPrompt tofu_prompt(const sections::Unlearn& setting) {
  return {given_prompt(setting.prompt), setting.prompt.style == "question_answer" ? " " : setting.before_answer.text};
}

const std::filesystem::path& prompt_folder(const sections::Model& model) {
  return model.path.empty() ? model.tokenizer : model.path;
}

text::PromptTemplate prompt_template(const records::Prompt& prompt) {
  return {text::prompt_style(prompt.style), prompt.before, prompt.after,
          prompt.strip.empty() ? text::Strip::none : text::strip_named(prompt.strip), prompt.marks};
}

}  // namespace cmc::stages
