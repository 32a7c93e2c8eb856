#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// Groeneveld et al. 2024: Llama with LayerNorm that has no parameters.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, {.padding_token = 1});
  config.norm = {.centred = true, .weight = false, .epsilon = 1e-5};
  read_attention_bias(fields, config);
  config.clip = fields.number_or("clip_qkv", 0.0, 0.0, 1e9);
  config.activation = read_activation(fields, "hidden_act");
  read_rope(fields, config);
  return config;
}

const Family family::olmo = {"olmo", "OlmoForCausalLM", read};

}  // namespace cmc::checkpoint
