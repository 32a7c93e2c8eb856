#include "pipeline/text/special_texts.hpp"

#include "pipeline/core/error.hpp"
#include "pipeline/text/json_tokenizer.hpp"
#include "pipeline/text/tokenizer_class.hpp"

namespace cmc::text {
namespace {

namespace fs = std::filesystem;

Json object_of(const fs::path& file) {
  if (!fs::exists(file)) return Json::object();
  Json read = read_json(file);
  if (!read.is_object()) throw BadData({file.string(), "is not a JSON object", "fetch it again"});
  return read;
}

// The class's own, or of a lone tokenizer.model that no class reads SentencePiece's names.
std::vector<std::pair<std::string, const char*>> defaults_of(const TokenizerConfig& config, const fs::path& folder) {
  const bool has_json = fs::exists(folder / "tokenizer.json");
  const auto of = tokenizer_class_of(config, uses(object_of(folder / "tokenizer.json"), "ByteLevel"));
  if (of == TokenizerClass::backend && !has_json && fs::exists(folder / "tokenizer.model"))
    return {{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}};
  return default_roles(of);
}

}  // namespace

Json tokenizer_settings(const fs::path& model_folder) {
  Json settings = object_of(model_folder / "tokenizer_config.json");
  if (!settings.contains("added_tokens_decoder")) settings.update(object_of(model_folder / "special_tokens_map.json"));
  return settings;
}

std::map<std::string, std::string> special_texts(const fs::path& model_folder) {
  const TokenizerConfig config = read_tokenizer_config(model_folder);
  std::map<std::string, std::string> texts;
  for (const auto& [key, text] : defaults_of(config, model_folder))
    if (text != nullptr) texts[key] = text;
  for (const auto& [key, role] : config.roles) {
    if (role.given) texts.erase(key);
    if (role.token) texts[key] = role.token->token.content;
  }
  for (const auto& [key, token] : config.model_roles) texts[key] = token.token.content;
  return texts;
}

}  // namespace cmc::text
