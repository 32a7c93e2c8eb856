#include "pipeline/text/tokenizer_config.hpp"

#include <initializer_list>

#include "pipeline/core/error.hpp"
#include "pipeline/core/json.hpp"

namespace cmc::text {
namespace {

// "<s>" or {"content": "<s>", …} or null
std::optional<std::string> token_text(const Json& config, const char* key, const std::string& where) {
  const Json value = config.is_object() && config.contains(key) ? config.at(key) : Json();
  if (value.is_null()) return std::nullopt;
  if (value.is_object()) return json_field<std::string>(value, "content", where + ": " + key);
  return json_field<std::string>(config, key, where);
}

std::optional<bool> flag(const Json& config, const char* key, const std::string& where) {
  if (!config.is_object() || !config.contains(key) || config.at(key).is_null()) return std::nullopt;
  return json_field<bool>(config, key, where);
}

void fill_roles(TokenizerConfig& into, const Json& config, const std::string& where) {
  if (!into.begin) into.begin = token_text(config, "bos_token", where);
  if (!into.end) into.end = token_text(config, "eos_token", where);
  if (!into.unknown) into.unknown = token_text(config, "unk_token", where);
  if (!into.padding) into.padding = token_text(config, "pad_token", where);
}

int32_t first_known(std::initializer_list<const char*> names, const std::function<int32_t(const std::string&)>& id_of) {
  for (const char* name : names)
    if (const int32_t id = id_of(name); id >= 0) return id;
  return -1;
}

int32_t required(const std::string& piece, const char* key, const TokenizerConfig& config,
                 const std::function<int32_t(const std::string&)>& id_of) {
  const int32_t id = id_of(piece);
  if (id < 0)
    throw BadData({config.file + ": " + key, "\"" + piece + "\" is not in the vocabulary",
                   "the configuration belongs to another tokenizer"});
  return id;
}

}  // namespace

TokenizerConfig read_tokenizer_config(const std::filesystem::path& folder) {
  TokenizerConfig made;
  const auto file = folder / "tokenizer_config.json";
  made.file = file.string();
  if (std::filesystem::exists(file)) {
    const Json config = read_json(file);
    if (!config.is_object()) throw BadData({made.file, "is not a JSON object", "fetch it again"});
    fill_roles(made, config, made.file);
    made.add_begin = flag(config, "add_bos_token", made.file);
    made.add_end = flag(config, "add_eos_token", made.file);
  }
  const auto map = folder / "special_tokens_map.json";
  if (std::filesystem::exists(map)) fill_roles(made, read_json(map), map.string());
  return made;
}

SpecialTokens special_tokens_of(const TokenizerConfig& config,
                                const std::function<int32_t(const std::string&)>& id_of) {
  SpecialTokens ids;
  ids.begin = config.begin ? required(*config.begin, "bos_token", config, id_of)
                           : first_known({"<s>", "<bos>", "<|begin_of_text|>", "<|endoftext|>"}, id_of);
  ids.end = config.end ? required(*config.end, "eos_token", config, id_of)
                       : first_known({"</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>"}, id_of);
  ids.unknown = config.unknown ? id_of(*config.unknown) : first_known({"<unk>"}, id_of);
  ids.padding = config.padding ? id_of(*config.padding) : first_known({"<pad>", "[PAD]"}, id_of);
  return ids;
}

}  // namespace cmc::text
