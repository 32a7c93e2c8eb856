#include "pipeline/checkpoint/family.hpp"

namespace cmc::checkpoint {

// Li et al. 2023 (Phi-1.5): GPT-J's parallel blocks with one LayerNorm and biases everywhere.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, {.epsilon = 1e-5, .epsilon_key = "layer_norm_eps"});
  use_layer_norm(config);
  config.residual = Residual::parallel;
  config.head_norm = fields.flag_or("qk_layernorm", false) ? HeadNorm::shared : HeadNorm::none;
  config.query_key_value_bias = config.attention_output_bias = config.mlp_bias = config.output_bias = true;
  config.gated = false;
  config.activation = read_activation(fields, "hidden_act", "gelu_new");
  read_rope(fields, config, {.part = 0.5, .reads_part = true});
  config.names.mlp_norm = "";
  config.names.query_norm = "self_attn.q_layernorm";
  config.names.key_norm = "self_attn.k_layernorm";
  config.names.attention_output = "self_attn.dense";
  config.names.up = "mlp.fc1";
  config.names.down = "mlp.fc2";
  config.names.final_norm = "model.final_layernorm";
  return config;
}

const Family family::phi = {"phi", "PhiForCausalLM", read};

}  // namespace cmc::checkpoint
