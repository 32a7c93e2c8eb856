#include "pipeline/text/chat_template.hpp"

#include <optional>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/utf8.hpp"
#include "pipeline/text/special_texts.hpp"

namespace cmc::text {
namespace {

namespace fs = std::filesystem;

constexpr size_t longest = 1 << 20;  // bytes of a template: the largest that are published have a twentieth of it
const std::string other_prompt =
    "use another prompt style (plain, open_instruct, inst), or give the text around the question (prompt_before, "
    "prompt_after)";

// Templates by name; the only one of tokenizer_config.json is called "default", too.
struct Found {
  std::string where;
  std::map<std::string, std::string> templates;
};

std::optional<Found> in_files(const fs::path& folder) {
  std::map<std::string, fs::path> files;
  const auto main = folder / "chat_template.jinja", more = folder / "additional_chat_templates";
  if (is_there(main)) files["default"] = main;
  if (fs::is_directory(more))
    for (const auto& entry : fs::directory_iterator(more))
      if (entry.path().extension() == ".jinja") files[entry.path().stem().string()] = entry.path();
  if (files.empty()) return std::nullopt;
  const auto used = files.find("default");
  Found found{used == files.end() ? more.string() : used->second.string(), {}};
  for (const auto& [name, file] : files) found.templates[name] = name == "default" ? read_file(file) : "";
  return found;
}

// `named`: {"name", "template"} objects in a list.
std::map<std::string, std::string> listed(const Json& list, const std::string& where) {
  std::map<std::string, std::string> templates;
  for (const auto& named : list)
    templates[json_field<std::string>(named, "name", where)] = json_field<std::string>(named, "template", where);
  return templates;
}

std::optional<Found> in_settings(const Json& settings, const fs::path& folder) {
  if (!settings.contains("chat_template") || settings.at("chat_template").is_null()) return std::nullopt;
  const Json& given = settings.at("chat_template");
  const std::string file = (folder / "tokenizer_config.json").string(), where = file + ": chat_template";
  if (given.is_string()) return Found{where, {{"default", given.get<std::string>()}}};
  if (given.is_array()) return Found{where, listed(given, where)};
  if (!given.is_object()) throw_bad_field(file, "chat_template", "is not a template's text");
  Found found{where, {}};
  for (const auto& [name, text] : given.items()) found.templates[name] = json_field<std::string>(given, name, where);
  return found;
}

std::string names_in(const Found& found) {
  std::string names;
  for (const auto& [name, text] : found.templates) (names += names.empty() ? "" : ", ") += name;
  return names;
}

[[noreturn]] void fail_without(const fs::path& folder) {
  if (is_there(folder / "chat_template.json"))
    throw BadData({(folder / "chat_template.json").string(),
                   "belongs to a processor of images or sound, which a tokenizer does not read",
                   "put its template into chat_template.jinja, or " + other_prompt});
  throw BadData({folder.string(),
                 "has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json)",
                 other_prompt});
}

}  // namespace

bool has_chat_template(const fs::path& model_folder) {
  return in_files(model_folder) || in_settings(tokenizer_settings(model_folder), model_folder);
}

ChatTemplate read_chat_template(const fs::path& model_folder) {
  auto found = in_files(model_folder);
  if (!found) found = in_settings(tokenizer_settings(model_folder), model_folder);
  if (!found) fail_without(model_folder);
  const auto used = found->templates.find("default");
  if (used == found->templates.end())
    throw BadData({found->where, "has several chat templates (" + names_in(*found) + "), none of them the default",
                   "name one of them default, or " + other_prompt});
  ChatTemplate chat{found->where, used->second, special_texts(model_folder)};
  if (chat.source.size() > longest)
    throw BadData({chat.where, "is longer than 1 MiB", "fetch the checkpoint again, or " + other_prompt});
  if (!is_valid_utf8(chat.source)) throw BadData({chat.where, "is not UTF-8", "fetch the checkpoint again"});
  return chat;
}

}  // namespace cmc::text
