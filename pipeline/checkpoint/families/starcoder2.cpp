#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// Lozhkov et al. 2024: rotary GPT with LayerNorm, biases and grouped keys.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config =
      read_common_fields(fields, {.tied = true, .epsilon = 1e-5, .kv_heads = 2, .epsilon_key = "norm_epsilon"});
  use_layer_norm(config);
  config.query_key_value_bias = config.attention_output_bias = config.mlp_bias = fields.flag_or("use_bias", true);
  config.gated = false;
  config.activation = read_activation(fields, "hidden_act", "gelu_pytorch_tanh");
  read_rope(fields, config);
  read_window_of_all(fields, config, 0);
  config.names.up = "mlp.c_fc";
  config.names.down = "mlp.c_proj";
  return config;
}

const Family family::starcoder2 = {"starcoder2", "Starcoder2ForCausalLM", read};

}  // namespace cmc::checkpoint
