#include "pipeline/checkpoint/family.hpp"

namespace cmc::checkpoint {

// Zhang et al. 2022: learned positions from the third row on; OPT-350M embeds tokens in fewer numbers and has its norms
// after the sums.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(
      fields, {.tied = true, .epsilon = 1e-5, .padding_token = 1, .own_head_dim = false, .width_key = "ffn_dim"});
  use_layer_norm(config);
  config.kv_heads = config.heads;
  config.norm.epsilon = 1e-5;
  config.norm.weight = config.norm.bias = fields.flag_or("layer_norm_elementwise_affine", true);
  config.query_key_value_bias = config.attention_output_bias = config.mlp_bias = fields.flag_or("enable_bias", true);
  config.gated = false;
  config.activation = read_activation(fields, "activation_function", "relu");
  config.rotary.count = 0;
  config.position_offset = 2;
  config.learned_positions = config.max_positions + config.position_offset;
  config.norm_closes_branch = config.residual_is_normed = !fields.flag_or("do_layer_norm_before", true);
  config.embedding_width = fields.integer_or("word_embed_proj_dim", config.hidden, 1, 1 << 18);
  TensorNames& names = config.names;
  if (config.embedding_width != config.hidden) {
    names.project_in = "model.decoder.project_in";
    names.project_out = "model.decoder.project_out";
  }
  names.embedding = "model.decoder.embed_tokens";
  names.positions = "model.decoder.embed_positions";
  names.layers = "model.decoder.layers.";
  names.attention_norm = "self_attn_layer_norm";
  names.attention_output = "self_attn.out_proj";
  names.mlp_norm = "final_layer_norm";
  names.up = "fc1";
  names.down = "fc2";
  const bool has_final = !config.norm_closes_branch && !fields.flag_or("_remove_final_layer_norm", false);
  names.final_norm = has_final ? "model.decoder.final_layer_norm" : "";
  return config;
}

const Family family::opt = {"opt", "OPTForCausalLM", read};

}  // namespace cmc::checkpoint
