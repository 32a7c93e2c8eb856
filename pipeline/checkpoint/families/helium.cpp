#include "pipeline/checkpoint/family.hpp"

namespace cmc::checkpoint {

// Kyutai 2025: Llama whose neighbours turn together.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config =
      read_common_fields(fields, {.epsilon = 1e-8, .head_dim = 128, .kv_heads = 20, .padding_token = 3});
  config.norm.rounds_last = true;
  config.query_key_value_bias = fields.flag_or("attention_bias", false);
  config.mlp_bias = fields.flag_or("mlp_bias", false);
  config.activation = read_activation(fields, "hidden_act");
  read_rope(fields, config, {.theta = 1e5});
  config.rotary.pairs = true;
  return config;
}

const Family family::helium = {"helium", "HeliumForCausalLM", read};

}  // namespace cmc::checkpoint
