#pragma once
#include <optional>
#include <string>
#include <vector>

#include "pipeline/core/child_process.hpp"
#include "pipeline/text/chat_template.hpp"

namespace cmc::text {

struct ChatMessage {
  std::string role, content;  // "system", "user", "assistant"
};
using Chat = std::vector<ChatMessage>;
// What follows the last message: the beginning of an answer (transformers' add_generation_prompt), or nothing, and it
// ends where its content does, to be gone on with (continue_final_message).
enum class ChatEnd { prompt, open_message };

// Renders chats as transformers' apply_chat_template does: by jinja2, in a sandboxed process of the program that
// CMC_PYTHON names, else of the first of python3 and /usr/bin/python3 that has jinja2.
class ChatRenderer {
 public:
  // `date` (core/date.hpp): what strftime_now tells. Throws MissingInput where no Python has jinja2, BadData or Refused
  // for a template that cannot be read.
  ChatRenderer(ChatTemplate chat_template, const std::string& date);

  struct Rendered {
    std::string text;
    std::string error;    // why there is none: a clause
    bool unsafe = false;  // it did what a template may not do
  };
  // Chats that the template itself turns down have an error. Throws Refused where it takes too long or too much.
  std::vector<Rendered> try_all(const std::vector<Chat>& chats, ChatEnd end = ChatEnd::prompt);
  // Throws BadData or Refused naming the template and what to do.
  std::string render(const Chat& chat, ChatEnd end = ChatEnd::prompt);
  // The texts that stand in the template, among them what it may look for in a question.
  std::vector<std::string> literals();
  bool is_dated() const { return dated_; }  // whether the date was asked for so far
  const ChatTemplate& chat_template() const { return template_; }
  const std::string& program() const { return program_; }  // "jinja2 3.1.6 of python3"

 private:
  bool start(const std::string& python, const std::string& date);
  std::string ask(const std::string& line);
  [[noreturn]] void fail(const std::string& what, bool unsafe) const;

  ChatTemplate template_;
  std::optional<ChildProcess> process_;
  std::string program_;
  std::string without_;  // Pythons that cannot render, and why
  bool dated_ = false;
};

}  // namespace cmc::text
