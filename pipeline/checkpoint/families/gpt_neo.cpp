#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

namespace {

// [[["global", "local"], 12]]: the names, so many times.
std::vector<std::string> layers_of(const ConfigFields& fields) {
  std::vector<std::string> layers;
  if (fields.has("attention_layers")) {
    for (const Json& name : fields.json().at("attention_layers"))
      layers.push_back(name.is_string() ? name.get<std::string>() : "");
    return layers;
  }
  const Json types = fields.has("attention_types") ? fields.json().at("attention_types")
                                                   : Json::array({Json::array({Json::array({"global", "local"}), 12})});
  for (const Json& item : types) {
    const bool fits = item.is_array() && item.size() == 2 && item[0].is_array() && item[1].is_number_integer() &&
                      item[1].get<int64_t>() >= 0 && item[1].get<int64_t>() <= 4096;
    if (!fits) fields.fail("attention_types", "is no list of [names, times]", "");
    for (int64_t time = 0; time < item[1].get<int64_t>(); ++time) {
      for (const Json& name : item[0]) layers.push_back(name.is_string() ? name.get<std::string>() : "");
    }
  }
  return layers;
}

// Black et al. 2021: GPT-2 with unscaled scores and a window on every other layer.
ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(
      fields,
      {.tied = true, .epsilon = 1e-5, .widening = 4, .own_head_dim = false, .epsilon_key = "layer_norm_epsilon"});
  use_layer_norm(config);
  config.attention_output_bias = config.mlp_bias = true;
  config.gated = false;
  config.activation = read_activation(fields, "activation_function", "gelu_new");
  config.rotary.count = 0;
  config.learned_positions = config.max_positions;
  config.attention_scale = 1.0;
  config.window = fields.integer_or("window_size", 256, 1, int64_t{1} << 32);
  const std::vector<std::string> layers = layers_of(fields);
  if (layers.size() != config.kinds.size()) fields.fail("attention_types", "does not name one type a layer", "");
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    if (layers[layer] != "global" && layers[layer] != "local")
      fields.fail("attention_types", "names an unknown type (" + layers[layer] + ")", "known: global, local");
    config.kinds[layer].sliding = layers[layer] == "local";
  }
  name_as_gpt2(config.names);
  config.names.joined = "";
  config.names.query = "attn.attention.q_proj";
  config.names.key = "attn.attention.k_proj";
  config.names.value = "attn.attention.v_proj";
  config.names.attention_output = "attn.attention.out_proj";
  return config;
}

}  // namespace

const Family family::gpt_neo = {"gpt_neo", "GPTNeoForCausalLM", read};

}  // namespace cmc::checkpoint
