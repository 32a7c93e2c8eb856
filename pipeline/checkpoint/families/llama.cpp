#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// Touvron et al. 2023. What ModelConfig says when nothing is changed.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields);
  read_attention_bias(fields, config);
  config.mlp_bias = fields.flag_or("mlp_bias", false);
  config.activation = read_activation(fields, "hidden_act");
  read_rope(fields, config);
  return config;
}

const Family family::llama = {"llama", "LlamaForCausalLM", read};

}  // namespace cmc::checkpoint
