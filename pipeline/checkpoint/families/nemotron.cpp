#include "pipeline/checkpoint/family.hpp"

namespace cmc::checkpoint {

// Parmar et al. 2024: LayerNorm that multiplies by weight + 1, squared ReLU, half of each head turns.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, {.epsilon = 1e-5});
  use_layer_norm(config);
  config.norm.adds_one = true;
  config.query_key_value_bias = config.attention_output_bias = fields.flag_or("attention_bias", false);
  config.mlp_bias = fields.flag_or("mlp_bias", false);
  config.gated = false;
  config.activation = read_activation(fields, "hidden_act", "relu2");
  read_rope(fields, config, {.part = 0.5, .reads_part = true});
  return config;
}

const Family family::nemotron = {"nemotron", "NemotronForCausalLM", read};

}  // namespace cmc::checkpoint
