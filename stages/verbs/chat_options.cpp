#include "stages/verbs/chat_options.hpp"

#include "pipeline/core/date.hpp"
#include "pipeline/core/json.hpp"

namespace cmc::stages {

namespace po = boost::program_options;

void add_chat_options(po::options_description& options) {
  options.add_options()("chat", po::bool_switch(), "texts are user messages: written by the model's chat template")(
      "system", po::value<std::string>(), "with --chat: a system message before each")(
      "date", po::value<std::string>(), (std::string("with --chat: the day it is told, ") + pinned_date).c_str());
}

std::string chat_date(const Arguments& arguments) {
  const std::string date = arguments.has("date") ? arguments.get("date") : pinned_date;
  if (!is_date(date)) throw Usage({"--date " + date, "is not a day", "write year-month-day, e.g. 2024-07-26"});
  return date;
}

std::unique_ptr<ChatPrompts> ChatPrompts::of(const Arguments& arguments, const std::filesystem::path& model_folder) {
  for (const char* option : {"system", "date"})
    if (arguments.has(option) && !arguments.get<bool>("chat"))
      throw Usage({std::string("--") + option, "is for chats", "add --chat, or leave it out"});
  if (!arguments.get<bool>("chat")) return nullptr;
  const std::string date = chat_date(arguments);
  std::optional<std::string> system;
  if (arguments.has("system")) system = arguments.get("system");
  return std::unique_ptr<ChatPrompts>(new ChatPrompts(text::read_chat_template(model_folder), date, system));
}

std::string ChatPrompts::render(const std::string& message, const Json& line, const std::string& where) {
  text::Chat chat;
  std::optional<std::string> system = system_;
  if (line.contains("system")) system = json_field<std::string>(line, "system", where);
  if (system) chat.push_back({"system", *system});
  chat.push_back({"user", message});
  return renderer_.render(chat);
}

}  // namespace cmc::stages
