#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// Parmar et al. 2024: LayerNorm that multiplies by weight + 1, squared ReLU, half of each head turns.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, {.epsilon = 1e-5, .epsilon_key = "norm_eps"});
  use_layer_norm(config);
  config.norm.adds_one = true;
  read_attention_bias(fields, config);
  config.mlp_bias = fields.flag_or("mlp_bias", false);
  config.gated = false;
  config.activation = read_activation(fields, "hidden_act", "relu2");
  read_rope(fields, config, {.part = 0.5, .reads_part = true});
  return config;
}

const Family family::nemotron = {"nemotron", "NemotronForCausalLM", read};

}  // namespace cmc::checkpoint
