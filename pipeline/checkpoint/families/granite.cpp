#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// IBM 2024: Llama with a multiplier at each place.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields);
  read_attention_bias(fields, config);
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
