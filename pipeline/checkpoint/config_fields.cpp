#include "pipeline/checkpoint/config_fields.hpp"

#include <cmath>
#include <map>

#include "pipeline/core/error.hpp"

namespace cmc::checkpoint {

void ConfigFields::fail(const std::string& key, const std::string& what, const std::string& remedy) const {
  throw BadData({where_ + ": " + key, what, remedy});
}

bool ConfigFields::has(const std::string& key) const {
  return object_.is_object() && object_.contains(key) && !object_.at(key).is_null();
}

int64_t ConfigFields::integer(const std::string& key, int64_t low, int64_t high) const {
  if (!has(key)) fail(key, "is missing", "the folder is not a complete Hugging Face model");
  const Json& value = object_.at(key);
  if (!value.is_number_integer()) fail(key, "is no whole number (" + value.dump() + ")", "");
  const bool fits = !value.is_number_unsigned() || value.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX);
  const int64_t number = fits ? value.get<int64_t>() : INT64_MAX;
  if (number < low || number > high) {
    fail(key, "is out of range (" + value.dump() + ")",
         "expected " + std::to_string(low) + " to " + std::to_string(high));
  }
  return number;
}

int64_t ConfigFields::integer_or(const std::string& key, int64_t otherwise, int64_t low, int64_t high) const {
  return has(key) ? integer(key, low, high) : otherwise;
}

double ConfigFields::number_or(const std::string& key, double otherwise, double low, double high) const {
  if (!has(key)) return otherwise;
  const Json& value = object_.at(key);
  if (!value.is_number()) fail(key, "is no number (" + value.dump() + ")", "");
  const double number = value.get<double>();
  if (!std::isfinite(number) || number < low || number > high) {
    fail(key, "is out of range (" + value.dump() + ")", "expected " + Json(low).dump() + " to " + Json(high).dump());
  }
  return number;
}

bool ConfigFields::flag_or(const std::string& key, bool otherwise) const {
  if (!has(key)) return otherwise;
  if (!object_.at(key).is_boolean()) fail(key, "is neither true nor false (" + object_.at(key).dump() + ")", "");
  return object_.at(key).get<bool>();
}

std::string ConfigFields::text_or(const std::string& key, const std::string& otherwise) const {
  if (!has(key)) return otherwise;
  if (!object_.at(key).is_string()) fail(key, "is no text (" + object_.at(key).dump() + ")", "");
  return object_.at(key).get<std::string>();
}

ConfigFields ConfigFields::object(const std::string& key) const {
  if (!has(key) || !object_.at(key).is_object()) fail(key, "is no object", "");
  return ConfigFields(object_.at(key), where_ + ": " + key);
}

std::vector<int32_t> read_tokens(const ConfigFields& fields, const std::string& key, int64_t vocabulary) {
  std::vector<int32_t> tokens;
  if (!fields.has(key)) return tokens;
  const Json& value = fields.json().at(key);
  const Json list = value.is_array() ? value : Json::array({value});
  for (const Json& token : list) {
    if (!token.is_number_integer() || token.get<int64_t>() < -1 || token.get<int64_t>() >= vocabulary) {
      fields.fail(key, "names a token outside the vocabulary (" + token.dump() + ")",
                  "expected 0 to " + std::to_string(vocabulary - 1));
    }
    if (token.get<int64_t>() >= 0) tokens.push_back(token.get<int32_t>());
  }
  return tokens;
}

Activation read_activation(const ConfigFields& fields, const std::string& key) {
  static const std::map<std::string, Activation> known = {{"silu", Activation::silu},
                                                          {"swish", Activation::silu},
                                                          {"gelu", Activation::gelu},
                                                          {"gelu_pytorch_tanh", Activation::gelu_tanh},
                                                          {"gelu_new", Activation::gelu_tanh}};
  const std::string name = fields.text_or(key, "silu");
  const auto found = known.find(name);
  if (found == known.end()) {
    fields.fail(key, "names an unknown activation (" + name + ")", "known: silu, gelu, gelu_pytorch_tanh");
  }
  return found->second;
}

namespace {

void read_heads(const ConfigFields& fields, ModelConfig& config) {
  config.heads = fields.integer("num_attention_heads", 1, 1 << 14);
  config.kv_heads = fields.integer_or("num_key_value_heads", config.heads, 1, config.heads);
  if (config.heads % config.kv_heads != 0) {
    fields.fail("num_key_value_heads",
                "does not divide num_attention_heads (" + std::to_string(config.kv_heads) + ", " +
                    std::to_string(config.heads) + ")",
                "");
  }
  config.head_dim = fields.integer_or("head_dim", config.hidden / config.heads, 2, 1 << 12);
  if (config.head_dim < 2 || config.head_dim % 2 != 0) {
    fields.fail("head_dim", "must be even for rotary positions (" + std::to_string(config.head_dim) + ")", "");
  }
  config.attention_scale = 1.0 / std::sqrt(static_cast<double>(config.head_dim));
}

}  // namespace

ModelConfig read_common_fields(const ConfigFields& fields, bool tied) {
  if (fields.has("quantization_config")) {
    fields.fail("quantization_config", "says that the weights are quantised",
                "save the model de-quantised (jobs/import_gguf.py does for GGUF files)");
  }
  ModelConfig config;
  config.vocabulary = fields.integer("vocab_size", 1, int64_t{1} << 24);
  config.hidden = fields.integer("hidden_size", 1, 1 << 18);
  config.intermediate = fields.integer("intermediate_size", 1, 1 << 20);
  config.layers = fields.integer("num_hidden_layers", 1, 4096);
  config.max_positions = fields.integer_or("max_position_embeddings", 2048, 1, int64_t{1} << 32);
  read_heads(fields, config);
  config.norm_epsilon = fields.number_or("rms_norm_eps", 1e-6, 0.0, 1.0);
  config.initializer_range = fields.number_or("initializer_range", 0.02, 0.0, 1.0);
  config.attention_bias = fields.flag_or("attention_bias", false);
  config.mlp_bias = fields.flag_or("mlp_bias", false);
  config.tied_output = fields.flag_or("tie_word_embeddings", tied);
  config.sliding.assign(static_cast<size_t>(config.layers), false);
  const auto begin = read_tokens(fields, "bos_token_id", config.vocabulary);
  config.begin_token = begin.empty() ? -1 : begin.front();
  const auto padding = read_tokens(fields, "pad_token_id", config.vocabulary);
  config.padding_token = padding.empty() ? -1 : padding.front();
  config.end_tokens = read_tokens(fields, "eos_token_id", config.vocabulary);
  config.end_token = config.end_tokens.empty() ? -1 : config.end_tokens.front();
  config.source = fields.json();
  return config;
}

}  // namespace cmc::checkpoint
