#include "pipeline/text/special_texts.hpp"

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/text/folder_tokenizer.hpp"
#include "pipeline/text/tokenizer_class.hpp"
#include "pipeline/text/tokenizer_config.hpp"

namespace cmc::text {
namespace {

namespace fs = std::filesystem;

Json object_of(const fs::path& file) {
  if (!is_there(file)) return Json::object();
  Json read = read_json(file);
  if (!read.is_object()) throw BadData({file.string(), "is not a JSON object", "fetch it again"});
  return read;
}

bool holds_tokenizer(const fs::path& folder) {
  return is_there(folder / "tokenizer.json") || is_there(folder / "tokenizer.model") ||
         (is_there(folder / "vocab.json") && is_there(folder / "merges.txt"));
}

// Of a folder with a configuration alone.
std::map<std::string, std::string> texts_of(const TokenizerConfig& config) {
  std::map<std::string, std::string> texts;
  for (const auto& [key, text] : default_roles(tokenizer_class_of(config, false)))
    if (text != nullptr) texts[key] = text;
  for (const auto& [key, role] : config.roles) {
    if (role.given) texts.erase(key);
    if (role.token) texts[key] = role.token->token.content;
  }
  for (const auto& [key, token] : config.model_roles) texts[key] = token.token.content;
  return texts;
}

}  // namespace

Json tokenizer_settings(const fs::path& model_folder) {
  Json settings = object_of(model_folder / "tokenizer_config.json");
  if (!settings.contains("added_tokens_decoder")) settings.update(object_of(model_folder / "special_tokens_map.json"));
  return settings;
}

std::map<std::string, std::string> special_texts(const fs::path& model_folder) {
  if (holds_tokenizer(model_folder)) return folder_special_texts(model_folder);
  return texts_of(read_tokenizer_config(model_folder));
}

}  // namespace cmc::text
