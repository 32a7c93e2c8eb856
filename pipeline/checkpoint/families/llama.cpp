#include "pipeline/checkpoint/family.hpp"

namespace cmc::checkpoint {

// Touvron et al. 2023. What ModelConfig says when nothing is changed.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields);
  config.query_key_value_bias = config.attention_output_bias = fields.flag_or("attention_bias", false);
  config.mlp_bias = fields.flag_or("mlp_bias", false);
  config.activation = read_activation(fields, "hidden_act");
  read_rope(fields, config);
  return config;
}

const Family family::llama = {"llama", "LlamaForCausalLM", read};

}  // namespace cmc::checkpoint
