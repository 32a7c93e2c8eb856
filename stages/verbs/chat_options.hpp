#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "pipeline/core/json.hpp"
#include "pipeline/text/chat_renderer.hpp"
#include "stages/verbs/verb.hpp"

namespace cmc::stages {

// --chat, --system, --date: shared by tokenize and generate.
void add_chat_options(boost::program_options::options_description& options);

// --date, else the pinned day. Throws Usage.
std::string chat_date(const Arguments& arguments);

// User messages as a checkpoint's chat template writes them, each by the template itself.
class ChatPrompts {
 public:
  // Null without --chat. Throws Usage for options that need it.
  static std::unique_ptr<ChatPrompts> of(const Arguments& arguments, const std::filesystem::path& model_folder);
  // `line`: may hold a "system" text of its own.
  std::string render(const std::string& message, const Json& line, const std::string& where);

 private:
  ChatPrompts(text::ChatTemplate chat_template, const std::string& date, std::optional<std::string> system)
      : renderer_(std::move(chat_template), date), system_(std::move(system)) {}
  text::ChatRenderer renderer_;
  std::optional<std::string> system_;
};

}  // namespace cmc::stages
