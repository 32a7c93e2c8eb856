#pragma once
#include <filesystem>
#include <map>
#include <string>

namespace cmc::text {

// How a checkpoint writes chats: a jinja template and the special tokens that it may write, found as transformers'
// AutoTokenizer finds them: chat_template.jinja and additional_chat_templates/*.jinja, and only where there is neither
// the chat_template of tokenizer_config.json (a text, or several by name, of which "default" counts).
struct ChatTemplate {
  std::string where;  // for errors: the file, and the field in it
  std::string source;
  std::map<std::string, std::string> variables;  // "bos_token" → "<s>"
};

// Whether the model's folder tells how to write a chat.
bool has_chat_template(const std::filesystem::path& model_folder);
// Throws BadData naming file, field and remedy: no template, several without a default, not a text.
ChatTemplate read_chat_template(const std::filesystem::path& model_folder);

}  // namespace cmc::text
