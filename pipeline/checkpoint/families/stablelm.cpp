#include "pipeline/checkpoint/family.hpp"

namespace cmc::checkpoint {

// Bellagente et al. 2024: Llama with LayerNorm, of which heads may have one each.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(
      fields, {.epsilon = 1e-5, .kv_heads = 32, .own_head_dim = false, .epsilon_key = "layer_norm_eps"});
  use_layer_norm(config);
  config.head_norm = fields.flag_or("qk_layernorm", false) ? HeadNorm::own : HeadNorm::none;
  config.head_norm_kind.bias = false;
  config.query_key_value_bias = fields.flag_or("use_qkv_bias", false);
  config.activation = read_activation(fields, "hidden_act");
  read_rope(fields, config, {.part = 0.25, .reads_part = true});
  config.names.query_norm = "self_attn.q_layernorm";
  config.names.key_norm = "self_attn.k_layernorm";
  config.names.head_of_norm = ".norms.";
  if (fields.flag_or("use_parallel_residual", false)) {
    config.residual = Residual::parallel;
    config.names.mlp_norm = "";
  }
  return config;
}

const Family family::stablelm = {"stablelm", "StableLmForCausalLM", read};

}  // namespace cmc::checkpoint
