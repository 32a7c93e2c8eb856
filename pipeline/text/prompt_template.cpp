#include "pipeline/text/prompt_template.hpp"

#include "pipeline/core/error.hpp"
#include "pipeline/core/named_enum.hpp"
#include "pipeline/core/utf8.hpp"
#include "pipeline/text/unicode.hpp"

namespace cmc::text {
namespace {

constexpr NamedEnum styles("prompt style",
                           std::to_array<Named<PromptStyle>>({{PromptStyle::plain, "plain"},
                                                              {PromptStyle::open_instruct, "open_instruct"},
                                                              {PromptStyle::inst, "inst"},
                                                              {PromptStyle::question_answer, "question_answer"},
                                                              {PromptStyle::chat, "chat"},
                                                              {PromptStyle::text, "text"}}));
constexpr NamedEnum strips("ends of a question that are stripped",
                           std::to_array<Named<Strip>>({{Strip::none, "none"},
                                                        {Strip::both, "both"},
                                                        {Strip::left, "left"},
                                                        {Strip::right, "right"}}));

}  // namespace

PromptStyle prompt_style(std::string_view name) {
  return styles.named<BadExperiment>(name);
}

std::string_view name_of(PromptStyle style) {
  return styles.name_of(style);
}

Strip strip_named(std::string_view name) {
  return strips.named<BadData>(name);
}

std::string_view name_of(Strip strip) {
  return strips.name_of(strip);
}

PromptTemplate fixed_prompt(PromptStyle style) {
  switch (style) {
    case PromptStyle::open_instruct:
      return {style, "<|user|>\n", "\n<|assistant|>\n"};
    case PromptStyle::inst:
      return {style, "[INST] ", " [/INST]"};
    case PromptStyle::question_answer:
      return {style, "Question: ", "\nAnswer:"};
    case PromptStyle::plain:
      return {style, "", ""};
    case PromptStyle::chat:
    case PromptStyle::text:
      break;
  }
  throw Internal({"fixed_prompt", std::string(name_of(style)) + " depends on more than the style", ""});
}

std::string_view PromptTemplate::stripped(std::string_view question) const {
  if (strip == Strip::both || strip == Strip::left) question = strip_left(question, is_python_space);
  if (strip == Strip::both || strip == Strip::right) question = strip_right(question, is_python_space);
  return question;
}

const std::string* PromptTemplate::mark_in(std::string_view question) const {
  for (const auto& mark : marks)
    if (mark.empty() ? stripped(question).empty() : question.find(mark) != std::string_view::npos) return &mark;
  return nullptr;
}

bool PromptTemplate::can_write(std::string_view question) const {
  return !mark_in(question);
}

std::string PromptTemplate::operator()(std::string_view question) const {
  if (const auto* mark = mark_in(question))
    throw BadData({"the question \"" + replace_invalid_utf8(question.substr(0, 60)) + "\"",
                   mark->empty()
                       ? "is empty, which the model's chat template writes in another way than other questions"
                       : "holds \"" + *mark + "\", which the model's chat template writes in another way",
                   "leave it out, or give the text around the question (prompt_before, prompt_after)"});
  return before + std::string(stripped(question)) + after;
}

std::vector<int32_t> PromptTemplate::tokens(std::string_view question, const Tokenizer& tokenizer) const {
  const std::string prompt = (*this)(question);
  if (style == PromptStyle::chat) return tokenizer.encode(prompt, AddedTokens::none);
  auto ids = tokenizer.encode(prompt, AddedTokens::as_model);
  const int32_t begin = tokenizer.special().begin;
  if (style == PromptStyle::text && begin >= 0 && ids.size() > 1 && ids[0] == begin && ids[1] == begin)
    return tokenizer.encode(prompt, AddedTokens::none);
  return ids;
}

}  // namespace cmc::text
