#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// GLM team 2025 (GLM-4-0414): GLM with norms on both sides of each block.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_glm_fields(fields);
  config.names.after_attention_norm = "post_self_attn_layernorm";
  config.names.after_mlp_norm = "post_mlp_layernorm";
  return config;
}

const Family family::glm4 = {"glm4", "Glm4ForCausalLM", read};

}  // namespace cmc::checkpoint
