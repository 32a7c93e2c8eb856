// What config.json says in the same way for all families.
#include <cmath>
#include <initializer_list>
#include <map>

#include "pipeline/checkpoint/config_fields.hpp"
#include "pipeline/checkpoint/quantisation.hpp"
#include "pipeline/core/error.hpp"

namespace cmc::checkpoint {

namespace {

// The first of the names that config.json has; the first of all where it has none.
std::string name_of(const ConfigFields& fields, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (fields.has(name)) return name;
  }
  return *names.begin();
}

void read_heads(const ConfigFields& fields, const Defaults& defaults, ModelConfig& config) {
  config.heads = fields.integer(name_of(fields, {"num_attention_heads", "n_head", "num_heads", "n_heads"}), 1, 1 << 14);
  const std::string key = name_of(fields, {"num_key_value_heads", "num_kv_heads", "n_head_kv"});
  const bool is_silent = !fields.json().contains(key);
  config.kv_heads =
      fields.integer_or(key, is_silent && defaults.kv_heads > 0 ? defaults.kv_heads : config.heads, 1, config.heads);
  if (config.heads % config.kv_heads != 0) {
    fields.fail(key,
                "does not divide num_attention_heads (" + std::to_string(config.kv_heads) + ", " +
                    std::to_string(config.heads) + ")",
                "");
  }
  const bool is_null = fields.json().contains("head_dim") && !fields.has("head_dim");
  const int64_t otherwise = defaults.head_dim > 0 && !is_null ? defaults.head_dim : config.hidden / config.heads;
  config.head_dim = defaults.own_head_dim ? fields.integer_or("head_dim", otherwise, 2, 1 << 12) : otherwise;
  if (config.head_dim < 2 || config.head_dim % 2 != 0) {
    fields.fail("head_dim", "must be even (" + std::to_string(config.head_dim) + ")", "");
  }
  config.value_dim = config.head_dim;
  config.rotary = {0, config.head_dim, false};
  config.attention_scale = 1.0 / std::sqrt(static_cast<double>(config.head_dim));
}

void read_special_tokens(const ConfigFields& fields, const Defaults& defaults, ModelConfig& config) {
  const auto first_of = [&](const char* key) {
    const auto tokens = read_tokens(fields, key, config.vocabulary);
    return tokens.empty() ? -1 : tokens.front();
  };
  config.begin_token = first_of("bos_token_id");
  config.padding_token = fields.json().contains("pad_token_id") ? first_of("pad_token_id") : defaults.padding_token;
  if (config.padding_token >= config.vocabulary) config.padding_token = -1;
  config.end_tokens = read_tokens(fields, "eos_token_id", config.vocabulary);
  config.end_token = config.end_tokens.empty() ? -1 : config.end_tokens.front();
}

// Settings of transformers' base class that any family may have.
void refuse_what_is_no_decoder(const ConfigFields& fields) {
  if (!fields.flag_or("is_causal", true))
    fields.fail("is_causal", "is false: every token sees the whole text", "give a decoder, not an encoder made of one");
  if (fields.has("transformers_weights"))
    fields.fail("transformers_weights", "names other weights than the folder's usual files",
                "rename that file to model.safetensors and remove the field");
}

}  // namespace

ModelConfig read_common_fields(const ConfigFields& fields, const Defaults& defaults) {
  check_not_quantised(fields.json(), fields.where());
  refuse_what_is_no_decoder(fields);
  ModelConfig config;
  config.vocabulary = fields.integer("vocab_size", 1, int64_t{1} << 24);
  config.hidden = fields.integer(name_of(fields, {"hidden_size", "n_embd", "d_model", "n_embed"}), 1, 1 << 18);
  config.layers = fields.integer(name_of(fields, {"num_hidden_layers", "n_layer", "num_layers", "n_layers"}), 1, 4096);
  const std::string width = name_of(fields, {defaults.width_key, "intermediate_size"});
  config.intermediate = defaults.widening > 0 ? fields.integer_or(width, defaults.widening * config.hidden, 1, 1 << 20)
                                              : fields.integer(width, 1, 1 << 20);
  const std::string positions =
      name_of(fields, {"max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "seq_length"});
  config.max_positions = fields.integer_or(positions, defaults.positions, 1, int64_t{1} << 32);
  read_heads(fields, defaults, config);
  config.norm.epsilon =
      fields.number_or(name_of(fields, {defaults.epsilon_key, "rms_norm_eps", "layer_norm_epsilon", "layer_norm_eps"}),
                       defaults.epsilon, 0.0, 1.0);
  config.head_norm_kind = config.norm;
  config.initializer_range = fields.number_or(name_of(fields, {"initializer_range", "init_std"}), 0.02, 0.0, 1.0);
  config.tied_output = fields.flag_or("tie_word_embeddings", defaults.tied);
  config.kinds.assign(static_cast<size_t>(config.layers), {});
  read_special_tokens(fields, defaults, config);
  config.source = fields.json();
  return config;
}

std::vector<int32_t> read_tokens(const ConfigFields& fields, const std::string& key, int64_t vocabulary) {
  std::vector<int32_t> tokens;
  if (!fields.has(key)) return tokens;
  const Json& value = fields.json().at(key);
  for (const Json& token : value.is_array() ? value : Json::array({value})) {
    if (!token.is_number_integer()) fields.fail(key, "names no token id (" + token.dump() + ")", "");
    const bool is_known = token.get<int64_t>() >= 0 && token.get<int64_t>() < vocabulary;
    if (is_known) tokens.push_back(token.get<int32_t>());
  }
  return tokens;
}

Activation read_activation(const ConfigFields& fields, const std::string& key, const std::string& otherwise) {
  // gelu_new, gelu_fast and gelu_pytorch_tanh are one formula, rounded differently.
  static const std::map<std::string, Activation> known = {{"silu", Activation::silu},
                                                          {"swish", Activation::silu},
                                                          {"gelu", Activation::gelu},
                                                          {"gelu_python", Activation::gelu},
                                                          {"gelu_pytorch_tanh", Activation::gelu_tanh},
                                                          {"gelu_python_tanh", Activation::gelu_tanh},
                                                          {"gelu_new", Activation::gelu_tanh},
                                                          {"gelu_fast", Activation::gelu_tanh},
                                                          {"gelu_accurate", Activation::gelu_tanh},
                                                          {"quick_gelu", Activation::gelu_quick},
                                                          {"relu", Activation::relu},
                                                          {"relu2", Activation::relu_squared}};
  const std::string name = fields.text_or(key, otherwise);
  const auto found = known.find(name);
  if (found != known.end()) return found->second;
  std::string names;
  for (const auto& [each, activation] : known) names += (names.empty() ? "" : ", ") + each;
  fields.fail(key, "names an unknown activation (" + name + ")", "known: " + names);
}

void read_sliding_layers(const ConfigFields& fields, ModelConfig& config,
                         const std::function<bool(int64_t layer)>& otherwise) {
  if (!fields.has("layer_types")) {
    for (int64_t layer = 0; layer < config.layers; ++layer)
      config.kinds[static_cast<size_t>(layer)].sliding = otherwise(layer);
    return;
  }
  const Json& types = fields.json().at("layer_types");
  if (!types.is_array() || static_cast<int64_t>(types.size()) != config.layers) {
    fields.fail("layer_types", "does not list one type a layer",
                "expected " + std::to_string(config.layers) + " entries");
  }
  for (size_t layer = 0; layer < types.size(); ++layer) {
    if (types[layer] != "sliding_attention" && types[layer] != "full_attention") {
      fields.fail("layer_types", "names an unknown type (" + types[layer].dump() + ")",
                  "known: sliding_attention, full_attention");
    }
    config.kinds[layer].sliding = types[layer] == "sliding_attention";
  }
}

int64_t read_window(const ConfigFields& fields, const std::string& key, int64_t otherwise) {
  const bool none = fields.json().contains(key) && !fields.has(key);
  if (none) return 0;
  return fields.has(key) ? fields.integer(key, 1, int64_t{1} << 32) : otherwise;
}

std::vector<int64_t> read_layer_numbers(const ConfigFields& fields, const std::string& key, int64_t layers) {
  const Json& list = fields.json().at(key);
  bool fits = list.is_array() && static_cast<int64_t>(list.size()) == layers;
  std::vector<int64_t> numbers;
  for (const Json& number : fits ? list : Json::array()) {
    fits = fits && (number.is_number_integer() || number.is_boolean());
    if (fits) numbers.push_back(number.is_boolean() ? int64_t{number.get<bool>()} : number.get<int64_t>());
  }
  if (!fits) fields.fail(key, "does not list one number a layer", "expected " + std::to_string(layers) + " entries");
  return numbers;
}

void use_layer_norm(ModelConfig& config) {
  config.norm.centred = config.norm.bias = true;
  config.head_norm_kind = config.norm;
}

}  // namespace cmc::checkpoint
