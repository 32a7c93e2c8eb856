#include "pipeline/text/chat_prompt.hpp"

#include <algorithm>
#include <set>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"

namespace cmc::text {
namespace {

const std::string other_style =
    "use another prompt style (plain, open_instruct, inst), or give the text around the question (prompt_before, "
    "prompt_after)";

using Rendered = ChatRenderer::Rendered;

std::vector<Rendered> ask(ChatRenderer& renderer, const std::vector<std::string>& questions) {
  std::vector<Chat> chats;
  for (const auto& question : questions) chats.push_back({{"user", question}});
  return renderer.try_all(chats);
}

[[noreturn]] void fail(const ChatRenderer& renderer, const std::string& what) {
  throw BadData({renderer.chat_template().where, what, other_style});
}

std::string shown(const std::string& question) {
  std::string text = question.substr(0, complete_utf8_prefix(std::string_view(question).substr(0, 60)));
  for (char& letter : text)
    if (letter == '\n') letter = ' ';
  return "\"" + text + (text.size() < question.size() ? "…" : "") + "\"";
}

// What every question may look like: a template that writes one of these in a way of its own cannot be used.
std::vector<std::string> probes() {
  std::string long_one;
  for (int i = 0; i < 800; ++i) long_one += "word " + std::to_string(i) + (i % 40 == 39 ? ".\n\n" : " ");
  return {"x",
          "What is 2 + 2?",
          "two\n\nparagraphs,\r\nand a line\n",
          " one space before and after ",
          "\n\n a lot of white space \t\r\n\x0b\x0c ",
          "\x1c\x1d\x1e\x1f rare \xc2\x85\xc2\xa0\xe3\x80\x80\xe2\x80\xa9",
          "\xe6\x97\xa5\xe6\x9c\xac e\xcc\x81 \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7 \xd9\x85\xd8\xb1\xd8\xad",
          "{{ 1 }} {% if x %} {# y #} {{ messages }}",
          "it's \"quoted\", \\n back\\slashed, `code`, 100 % & <b>bold</b> &amp; $x_1^2$",
          "-1.50e3",
          "[1, {\"a\": null}]",
          "UPPER and lower",
          "- one\n- two\n# title\n* * *",
          "http://example.org/?a=b&c=d#e",
          long_one};
}

// Where templates look for something in a question, it is mostly one of these or stands in the template itself.
std::set<std::string> marks_to_try(ChatRenderer& renderer) {
  std::set<std::string> marks = {
      "<think>",       "</think>",    "/think",  "/no_think", "/nothink",  "<|im_start|>",    "<|im_end|>",
      "[INST]",        "[/INST]",     "<<SYS>>", "<</SYS>>",  "<image>",   "<|image|>",       "<|user|>",
      "<|assistant|>", "<tool_call>", "system",  "user",      "assistant", "<tool_response>", "</tool_response>"};
  for (const auto& [name, text] : renderer.chat_template().variables) marks.insert(text);
  for (const auto& literal : renderer.literals()) {
    std::string lower, upper;
    for (const char letter : literal) {
      const bool ascii = static_cast<unsigned char>(letter) < 128;
      lower += ascii ? static_cast<char>(std::tolower(letter)) : letter;
      upper += ascii ? static_cast<char>(std::toupper(letter)) : letter;
    }
    marks.insert({literal, lower, upper});
  }
  std::erase_if(marks, [](const auto& mark) {  // the probes have white space; nobody looks for a whole page
    return mark.find_first_not_of(" \t\r\n") == std::string::npos || mark.size() > 200;
  });
  return marks;
}

bool writes(const PromptTemplate& prompt, const std::string& question, const Rendered& rendered) {
  return rendered.error.empty() && rendered.text == prompt(question);
}

// Before and after, from a question that nothing else in the template looks like.
PromptTemplate split(ChatRenderer& renderer) {
  const std::string question = "Zq7vexing-Quark";
  const std::string text = renderer.render({{"user", question}});
  const size_t at = text.find(question);
  if (at == std::string::npos) fail(renderer, "writes a chat without the user's question as it is");
  if (text.find(question, at + 1) != std::string::npos) fail(renderer, "writes the question more than once");
  return {PromptStyle::chat, text.substr(0, at), text.substr(at + question.size())};
}

void find_strip(PromptTemplate& prompt, ChatRenderer& renderer) {
  const std::string question = " \t\n\xc2\xa0inside\xc2\xa0\n\t ";
  const auto rendered = ask(renderer, {question}).front();
  for (const Strip strip : {Strip::none, Strip::both, Strip::left, Strip::right}) {
    prompt.strip = strip;
    if (writes(prompt, question, rendered)) return;
  }
  fail(renderer, "changes the white space around a question in a way of its own");
}

void expect_written(const PromptTemplate& prompt, ChatRenderer& renderer, const std::vector<std::string>& questions) {
  const auto rendered = ask(renderer, questions);
  for (size_t i = 0; i < questions.size(); ++i) {
    if (!rendered[i].error.empty()) fail(renderer, rendered[i].error + ", asked " + shown(questions[i]));
    if (!writes(prompt, questions[i], rendered[i]))
      fail(renderer, "writes the question " + shown(questions[i]) + " in another way than others");
  }
}

void find_marks(PromptTemplate& prompt, ChatRenderer& renderer) {
  std::vector<std::string> marks, questions;
  for (const auto& mark : marks_to_try(renderer))
    for (const auto& question : {mark, "a " + mark + " b", "a" + mark, mark + "b", "a\n" + mark + "\nb"})
      marks.push_back(mark), questions.push_back(question);
  marks.emplace_back(), questions.emplace_back();
  const auto rendered = ask(renderer, questions);
  std::set<std::string> found;
  for (size_t i = 0; i < questions.size(); ++i)
    if (!writes(prompt, questions[i], rendered[i])) found.insert(marks[i]);
  for (const auto& mark : found)  // without those that hold another one
    if (std::ranges::none_of(found, [&](const auto& other) {
          return !other.empty() && other != mark && mark.find(other) != std::string::npos;
        }))
      prompt.marks.push_back(mark);
}

}  // namespace

PromptTemplate chat_prompt(ChatRenderer& renderer, const std::vector<std::string>& questions) {
  PromptTemplate prompt = split(renderer);
  find_strip(prompt, renderer);
  expect_written(prompt, renderer, probes());
  expect_written(prompt, renderer, questions);
  find_marks(prompt, renderer);
  return prompt;
}

}  // namespace cmc::text
