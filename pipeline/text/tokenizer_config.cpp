#include "pipeline/text/tokenizer_config.hpp"

#include <algorithm>
#include <set>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/core/log.hpp"
#include "pipeline/text/tokenizer_file.hpp"

namespace cmc::text {
namespace {

namespace fs = std::filesystem;
using Fields = std::vector<std::pair<std::string, Json>>;  // in the order of the file, which decides about new ids

Fields fields_of(const nlohmann::ordered_json& object) {
  Fields fields;
  for (const auto& [key, value] : object.items()) fields.emplace_back(key, Json(value));
  return fields;
}

struct Document {
  Json content = Json::object();
  nlohmann::ordered_json ordered = nlohmann::ordered_json::object();
};

Document read_document(const fs::path& file) {
  const std::string text = read_file(file);
  refuse_pointer(text, file.string());
  Document made{read_json(file), nlohmann::ordered_json::parse(text)};
  if (!made.content.is_object()) throw BadData({file.string(), "is not a JSON object", "fetch it again"});
  return made;
}

std::optional<bool> flag(const Json& config, const char* key, const std::string& where) {
  if (!config.contains(key) || config.at(key).is_null()) return std::nullopt;
  return json_field<bool>(config, key, where);
}

NamedToken named_token(const Json& value, const std::string& where) {
  if (value.is_string()) {
    NamedToken plain;
    plain.token.content = value.get<std::string>();
    plain.token.special = true;
    return plain;
  }
  if (value.is_object()) return {read_added_token(value, where), true};
  throw BadData({where, "has the wrong type (" + std::string(value.type_name()) + ")",
                 "give a token's text, or {\"content\": …}"});
}

bool is_token(const Json& value) {
  return value.is_string() || (value.is_object() && value.contains("content"));
}

bool is_standard(const std::string& key) {
  return std::find(std::begin(standard_roles), std::end(standard_roles), key) != std::end(standard_roles);
}

class Merger {
 public:
  explicit Merger(const fs::path& folder) : folder_(folder) {
    into_.file = (folder / "tokenizer_config.json").string();
  }

  TokenizerConfig merge() {
    read_model_config();
    if (is_there(folder_ / "tokenizer_config.json")) read_config(read_document(folder_ / "tokenizer_config.json"));
    if (!into_.added_complete) {
      if (is_there(folder_ / "special_tokens_map.json")) read_map(folder_ / "special_tokens_map.json");
      if (is_there(folder_ / "added_tokens.json")) read_added(folder_ / "added_tokens.json");
    }
    if (into_.class_name.ends_with("Fast")) into_.class_name.resize(into_.class_name.size() - 4);
    // Tokens with flags first, then those given by text, as their keyword arguments arrive; a name keeps its place.
    for (const auto& [key, token] : by_text_) set(into_.model_roles, key, token);
    return std::move(into_);
  }

 private:
  void read_model_config() {
    const fs::path file = folder_ / "config.json";
    if (!is_there(file)) return;
    const Json config = read_json(file);
    if (!config.is_object()) return;  // its own reader says what is wrong
    into_.model_type = json_field_or<std::string>(config, "model_type", "", file.string());
    into_.class_name = json_field_or<std::string>(config, "tokenizer_class", "", file.string());
  }

  void read_config(const Document& document) {
    const Json& config = document.content;
    const std::string& where = into_.file;
    into_.present = true;
    if (const auto name = json_field_or<std::string>(config, "tokenizer_class", "", where); !name.empty()) {
      into_.class_name = name;
      into_.class_here = true;
    }
    into_.own_code = names_own_code(config);
    into_.add_begin = flag(config, "add_bos_token", where);
    into_.add_end = flag(config, "add_eos_token", where);
    into_.add_prefix_space = flag(config, "add_prefix_space", where);
    into_.legacy = flag(config, "legacy", where);
    into_.split_special_tokens = flag(config, "split_special_tokens", where).value_or(false);
    into_.clean_up_spaces = flag(config, "clean_up_tokenization_spaces", where).value_or(false);
    into_.clean_up_spaces_of_bpe =
        flag(config, "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output", where).value_or(false);
    if (flag(config, "fix_mistral_regex", where).value_or(false))
      log_warning_once(where, ": fix_mistral_regex is not applied: save the tokenizer with transformers, which then ",
                       "writes the mended pattern into tokenizer.json");
    for (const auto& [key, value] : fields_of(document.ordered)) read_role(key, value, where, value.is_string());
    read_extra(document, where);
    read_decoder(config, where);
  }

  // auto_map may name code for other classes than the tokenizer's.
  static bool names_own_code(const Json& config) {
    if (!config.contains("auto_map")) return false;
    const Json& map = config.at("auto_map");
    if (!map.is_object()) return map.is_array();
    return map.contains("AutoTokenizer") && !map.at("AutoTokenizer").is_null();
  }

  void read_role(const std::string& key, const Json& value, const std::string& where, bool by_text) {
    if (is_standard(key)) {
      if (where == into_.file && value.is_object())
        objects_.insert(key);
      else
        objects_.erase(key);
      into_.roles[key] = {true, value.is_null() ? std::nullopt : std::optional(named_token(value, where + ": " + key))};
    } else if (key.ends_with("_token") && value.is_null()) {
      into_.roles[key] = {true, std::nullopt};
    } else if (key.ends_with("_token") && is_token(value)) {
      set(by_text ? by_text_ : into_.model_roles, key, named_token(value, where + ": " + key));
    }
  }

  void read_extra(const Document& document, const std::string& where) {
    const Json& config = document.content;
    const std::string own = "model_specific_special_tokens";
    if (config.contains(own) && config[own].is_object()) add_named(document.ordered[own], where + ": " + own);
    const bool has_extra = config.contains("extra_special_tokens") && !config["extra_special_tokens"].empty();
    const bool has_additional = config.contains("additional_special_tokens");
    const std::string key = has_extra || !has_additional ? "extra_special_tokens" : "additional_special_tokens";
    if (!config.contains(key)) return;
    if (config[key].is_object()) return add_named(document.ordered[key], where + ": " + key);
    into_.extra_given = true;
    into_.extra = tokens_in(config[key], where + ": " + key);
    for (const auto& token : into_.extra)
      if (token.with_flags) objects_.insert("extra: " + token.token.content);
  }

  void add_named(const nlohmann::ordered_json& object, const std::string& where) {
    for (const auto& [key, value] : fields_of(object)) set(by_text_, key, named_token(value, where + "." + key));
  }

  static std::vector<NamedToken> tokens_in(const Json& list, const std::string& where) {
    std::vector<NamedToken> tokens;
    if (list.is_null()) return tokens;
    if (!list.is_array()) throw BadData({where, "is not a list of tokens", "give their texts, or {\"content\": …}"});
    for (size_t i = 0; i < list.size(); ++i)
      tokens.push_back(named_token(list[i], where + "[" + std::to_string(i) + "]"));
    return tokens;
  }

  void read_decoder(const Json& config, const std::string& where) {
    if (!config.contains("added_tokens_decoder")) return;
    const std::string at = where + ": added_tokens_decoder";
    const Json& decoder = config["added_tokens_decoder"];
    if (!decoder.is_object()) throw BadData({at, "is not an object of id to token", "fetch it again"});
    into_.added_complete = true;
    for (const auto& [id, token] : decoder.items()) into_.added[id_in(id, at)] = read_added_token(token, at + "." + id);
  }

  static int32_t id_in(const std::string& text, const std::string& where) {
    const bool digits = !text.empty() && text.size() < 9 && text.find_first_not_of("0123456789") == std::string::npos;
    if (!digits) throw BadData({where, "has the key \"" + text + "\", which is no id", "fetch it again"});
    return std::stoi(text);
  }

  void read_map(const fs::path& file) {
    const Document map = read_document(file);
    for (const auto& [key, value] : fields_of(map.ordered)) {
      const std::string at = file.string() + ": " + key;
      if (key == "additional_special_tokens") {
        into_.additional = tokens_in(value, at);
      } else if (key == "extra_special_tokens" && value.is_object()) {
        add_named(map.ordered[key], at);
      } else if (key == "extra_special_tokens") {
        into_.extra_given = true;
        for (auto& token : tokens_in(value, at)) add_extra(std::move(token));
      } else {
        Json made = value;
        if (made.is_object()) made["special"] = true;
        read_role(key, made, file.string(), false);
      }
    }
  }

  void add_extra(NamedToken token) {
    if (token.with_flags) token.token.special = true;
    for (const auto& known : into_.extra)
      if (known.token == token.token && known.with_flags == token.with_flags) return;
    into_.extra.push_back(std::move(token));
  }

  void read_added(const fs::path& file) {
    const Document document = read_document(file);
    for (const auto& [content, id] : document.content.items()) {
      if (!id.is_number_unsigned() || id > TokenizerFile::max_id)
        throw BadData({file.string() + ": \"" + content + "\"", "has no id: " + id.dump(), "fetch it again"});
      AddedToken token;
      token.content = content;
      token.special = names_special(content);
      token.normalized = !token.special;
      into_.added[id.get<int32_t>()] = token;
    }
  }

  // Whether a role or an extra token is that text. Those that tokenizer_config.json writes as objects are not looked
  // at, which is how transformers compares them.
  bool names_special(const std::string& content) const {
    for (const auto& [key, role] : into_.roles)
      if (role.token && role.token->token.content == content && !objects_.contains(key)) return true;
    for (const auto& extra : into_.extra)
      if (extra.token.content == content && !objects_.contains("extra: " + content)) return true;
    return false;
  }

  static void set(std::vector<std::pair<std::string, NamedToken>>& roles, const std::string& key, NamedToken token) {
    for (auto& [known, value] : roles)
      if (known == key) return void(value = std::move(token));
    roles.emplace_back(key, std::move(token));
  }

  fs::path folder_;
  TokenizerConfig into_;
  std::set<std::string> objects_;                            // keys that tokenizer_config.json gives as objects
  std::vector<std::pair<std::string, NamedToken>> by_text_;  // other "…_token" keys given by text alone
};

}  // namespace

std::optional<std::string> TokenizerConfig::text_of(const std::string& role) const {
  const auto found = roles.find(role);
  return found == roles.end() || !found->second.token ? std::nullopt
                                                      : std::optional(found->second.token->token.content);
}

TokenizerConfig read_tokenizer_config(const fs::path& folder) {
  return Merger(folder).merge();
}

}  // namespace cmc::text
