#include "pipeline/checkpoint/family.hpp"

namespace cmc::checkpoint {

// Black et al. 2022 (GPT-NeoX, Pythia): attention and MLP side by side, each with a LayerNorm of its own.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config =
      read_common_fields(fields, {.epsilon = 1e-5, .own_head_dim = false, .epsilon_key = "layer_norm_eps"});
  use_layer_norm(config);
  config.kv_heads = config.heads;
  config.residual = fields.flag_or("use_parallel_residual", true) ? Residual::parallel : Residual::serial;
  config.query_key_value_bias = config.attention_output_bias = fields.flag_or("attention_bias", true);
  config.mlp_bias = true;
  config.gated = false;
  config.activation = read_activation(fields, "hidden_act", "gelu");
  read_rope(fields, config,
            {.theta = fields.number_or("rotary_emb_base", 10000.0, 1.0 + 1e-6, 1e15),
             .part = fields.number_or("rotary_pct", 0.25, 0.0, 1.0),
             .reads_part = true});
  TensorNames& names = config.names;
  names.base = "gpt_neox.";
  names.embedding = "gpt_neox.embed_in";
  names.layers = "gpt_neox.layers.";
  names.joined = "attention.query_key_value";
  names.joined_heads = JoinedHeads::groups;
  names.attention_output = "attention.dense";
  names.up = "mlp.dense_h_to_4h";
  names.down = "mlp.dense_4h_to_h";
  names.final_norm = "gpt_neox.final_layer_norm";
  names.output = "embed_out";
  return config;
}

const Family family::gpt_neox = {"gpt_neox", "GPTNeoXForCausalLM", read};

}  // namespace cmc::checkpoint
