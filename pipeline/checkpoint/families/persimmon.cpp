#include "pipeline/checkpoint/family.hpp"

namespace cmc::checkpoint {

// Adept 2023: LayerNorm also on each head, squared ReLU, half of each head turns.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config =
      read_common_fields(fields, {.epsilon = 1e-5, .own_head_dim = false, .epsilon_key = "layer_norm_eps"});
  use_layer_norm(config);
  config.kv_heads = config.heads;
  config.head_norm = fields.flag_or("qk_layernorm", true) ? HeadNorm::shared : HeadNorm::none;
  config.query_key_value_bias = config.attention_output_bias = config.mlp_bias = true;
  config.gated = false;
  config.activation = read_activation(fields, "hidden_act", "relu2");
  read_rope(fields, config, {.part = 0.5, .reads_part = true});
  TensorNames& names = config.names;
  names.joined = "self_attn.query_key_value";
  names.joined_heads = JoinedHeads::groups;
  names.query_norm = "self_attn.q_layernorm";
  names.key_norm = "self_attn.k_layernorm";
  names.attention_output = "self_attn.dense";
  names.up = "mlp.dense_h_to_4h";
  names.down = "mlp.dense_4h_to_h";
  names.final_norm = "model.final_layernorm";
  return config;
}

const Family family::persimmon = {"persimmon", "PersimmonForCausalLM", read};

}  // namespace cmc::checkpoint
