#include "pipeline/checkpoint/family.hpp"

namespace cmc::checkpoint {

// IBM 2024: Llama with a multiplier at each place.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields);
  config.query_key_value_bias = config.attention_output_bias = fields.flag_or("attention_bias", false);
  config.mlp_bias = fields.flag_or("mlp_bias", false);
  config.activation = read_activation(fields, "hidden_act");
  read_rope(fields, config);
  config.embedding_scale = fields.number_or("embedding_multiplier", 1.0, -1e9, 1e9);
  config.attention_scale = fields.number_or("attention_multiplier", 1.0, -1e9, 1e9);
  config.residual_scale = fields.number_or("residual_multiplier", 1.0, -1e9, 1e9);
  config.output_scale = 1.0 / fields.number_or("logits_scaling", 1.0, 1e-9, 1e9);
  return config;
}

const Family family::granite = {"granite", "GraniteForCausalLM", read};

}  // namespace cmc::checkpoint
