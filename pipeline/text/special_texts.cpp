#include "pipeline/text/special_texts.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "pipeline/core/error.hpp"

namespace cmc::text {
namespace {

constexpr std::array<std::string_view, 7> roles = {"bos_token", "eos_token", "unk_token", "sep_token",
                                                   "pad_token", "cls_token", "mask_token"};

Json object_of(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return Json::object();
  Json read = read_json(file);
  if (!read.is_object()) throw BadData({file.string(), "is not a JSON object", "fetch it again"});
  return read;
}

bool is_role(const std::string& key) {
  return std::ranges::find(roles, key) != roles.end();
}

// "<s>" or {"content": "<s>", …}; nothing for other values.
std::optional<std::string> token_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object() && value.contains("content") && value.at("content").is_string())
    return value.at("content").get<std::string>();
  return std::nullopt;
}

// Defaults of the tokenizer classes that decoders use, in the order of `roles`; "": none.
struct ClassDefaults {
  std::string_view name;
  std::array<std::string_view, 7> texts;
};
constexpr std::string_view end_of_text = "<|endoftext|>";
constexpr auto classes = std::to_array<ClassDefaults>(
    {{"LlamaTokenizer", {"<s>", "</s>", "<unk>"}},
     {"CodeLlamaTokenizer", {"<s>", "</s>", "<unk>"}},
     {"GemmaTokenizer", {"<bos>", "<eos>", "<unk>", "", "<pad>", "", "<mask>"}},
     {"GPT2Tokenizer", {end_of_text, end_of_text, end_of_text}},
     {"CodeGenTokenizer", {end_of_text, end_of_text, end_of_text}},
     {"GPTNeoXTokenizer", {end_of_text, end_of_text, end_of_text, "", "<|padding|>"}},
     {"Qwen2Tokenizer", {"", end_of_text, end_of_text, "", end_of_text}},
     {"CohereTokenizer",
      {"<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>", "<UNK>", "<SEP>", "<PAD>", "<CLS>", "<MASK_TOKEN>"}}});

// The class that transformers takes for a model type, where its name decides; "": the one without defaults.
struct ModelClass {
  std::string_view model_type, tokenizer;
  bool always = false;  // whatever class the checkpoint names
};
constexpr auto model_classes = std::to_array<ModelClass>({{"mistral", "", true},
                                                          {"ministral", "", true},
                                                          {"ministral3", "", true},
                                                          {"mixtral", "", true},
                                                          {"phi3", "", true},
                                                          {"olmo2", "", true},
                                                          {"olmo3", "", true},
                                                          {"stablelm", "", true},
                                                          {"granite", "", true},
                                                          {"glm", "", true},
                                                          {"glm4", "", true},
                                                          {"nemotron", "", true},
                                                          {"persimmon", "", true},
                                                          {"gpt_bigcode", "", true},
                                                          {"qwen2", "Qwen2Tokenizer", true},
                                                          {"qwen2_moe", "Qwen2Tokenizer"},
                                                          {"qwen3", "Qwen2Tokenizer"},
                                                          {"qwen3_moe", "Qwen2Tokenizer"},
                                                          {"gemma", "GemmaTokenizer"},
                                                          {"gemma2", "GemmaTokenizer"},
                                                          {"gemma3", "GemmaTokenizer"},
                                                          {"gemma3_text", "GemmaTokenizer"},
                                                          {"phi", "GPT2Tokenizer"},
                                                          {"gpt2", "GPT2Tokenizer"},
                                                          {"gpt_neo", "GPT2Tokenizer"},
                                                          {"gptj", "GPT2Tokenizer"},
                                                          {"opt", "GPT2Tokenizer"},
                                                          {"starcoder2", "GPT2Tokenizer"},
                                                          {"gpt_neox", "GPTNeoXTokenizer"},
                                                          {"olmo", "GPTNeoXTokenizer"},
                                                          {"mpt", "GPTNeoXTokenizer"},
                                                          {"cohere", "CohereTokenizer"},
                                                          {"cohere2", "CohereTokenizer"}});

std::string text_at(const Json& object, const char* key) {
  return object.contains(key) && object.at(key).is_string() ? object.at(key).get<std::string>() : "";
}

// Whether tokenizer.json works on bytes as GPT-2's does: transformers reads such a one by no class, whatever is named.
bool is_byte_level(const std::filesystem::path& tokenizer) {
  if (!std::filesystem::exists(tokenizer)) return false;
  const Json read = read_json(tokenizer);
  const auto holds = [&](const char* part) {
    return read.is_object() && read.contains(part) && read.at(part).dump().find("\"ByteLevel\"") != std::string::npos;
  };
  return holds("pre_tokenizer") || holds("decoder");
}

std::string tokenizer_class(const Json& settings, const std::filesystem::path& folder) {
  const Json config = object_of(folder / "config.json");
  std::string named = text_at(settings, "tokenizer_class");
  if (named.empty()) named = text_at(config, "tokenizer_class");
  if (named.ends_with("Fast")) named.resize(named.size() - 4);
  const auto known = std::ranges::find(model_classes, text_at(config, "model_type"), &ModelClass::model_type);
  if (known != model_classes.end() && (named.empty() || known->always)) return std::string(known->tokenizer);
  if (named == "LlamaTokenizer" && is_byte_level(folder / "tokenizer.json")) return "";
  return named;
}

std::array<std::string_view, 7> defaults_of(const std::string& name, const std::filesystem::path& folder) {
  const auto known = std::ranges::find(classes, name, &ClassDefaults::name);
  if (known != classes.end()) return known->texts;
  if (!std::filesystem::exists(folder / "tokenizer.json") && std::filesystem::exists(folder / "tokenizer.model"))
    return {"<s>", "</s>", "<unk>"};  // SentencePiece's own names
  return {};
}

}  // namespace

Json tokenizer_settings(const std::filesystem::path& model_folder) {
  Json settings = object_of(model_folder / "tokenizer_config.json");
  if (!settings.contains("added_tokens_decoder")) settings.update(object_of(model_folder / "special_tokens_map.json"));
  return settings;
}

std::map<std::string, std::string> special_texts(const Json& settings, const std::filesystem::path& model_folder) {
  std::map<std::string, std::string> texts;
  const auto defaults = defaults_of(tokenizer_class(settings, model_folder), model_folder);
  for (size_t i = 0; i < roles.size(); ++i)
    if (!settings.contains(roles[i]) && !defaults[i].empty()) texts[std::string(roles[i])] = defaults[i];
  const auto take = [&](const std::string& key, const Json& value) {
    if (const auto text = token_text(value)) {
      texts[key] = *text;
    } else if (is_role(key) && !value.is_null()) {
      throw_bad_field((model_folder / "tokenizer_config.json").string(), key, "is no token's text");
    }
  };
  for (const auto& [key, value] : settings.items())
    if (key.ends_with("_token")) take(key, value);
  for (const char* named : {"extra_special_tokens", "model_specific_special_tokens"})
    if (settings.contains(named) && settings.at(named).is_object())
      for (const auto& [key, value] : settings.at(named).items()) take(key, value);
  return texts;
}

}  // namespace cmc::text
