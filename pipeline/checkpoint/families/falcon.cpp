#include "pipeline/checkpoint/alibi.hpp"
#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

namespace {

// Whether attention and MLP stand side by side, and which norms they read.
void read_blocks(const ConfigFields& fields, bool is_new, ModelConfig& config) {
  const bool parallel = is_new || fields.flag_or("parallel_attn", true);
  config.residual = parallel ? Residual::parallel : Residual::serial;
  const int64_t norms = fields.integer_or("num_ln_in_parallel_attn", is_new ? 2 : 1, 1, 2);
  if (parallel && is_new && norms == 2) {
    config.names.attention_norm = "ln_attn";
    config.names.mlp_norm = "ln_mlp";
  } else if (parallel) {
    config.names.mlp_norm = "";
  }
}

// Almazrouei et al. 2023, in its three forms: one key head (7B), groups and two norms (40B), ALiBi (RW).
ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, {.tied = true,
                                                   .epsilon = 1e-5,
                                                   .widening = 4,
                                                   .own_head_dim = false,
                                                   .epsilon_key = "layer_norm_epsilon",
                                                   .width_key = "ffn_hidden_size"});
  use_layer_norm(config);
  const bool is_new = fields.flag_or("new_decoder_architecture", false);
  const bool multi_query = fields.flag_or("multi_query", true);
  if (!is_new) config.kv_heads = multi_query ? 1 : config.heads;
  read_blocks(fields, is_new, config);
  config.query_key_value_bias = config.attention_output_bias = config.mlp_bias = fields.flag_or("bias", false);
  config.gated = false;
  config.activation = read_activation(fields, "activation", "gelu");
  if (fields.flag_or("alibi", false)) {
    config.rotary.count = 0;
    config.alibi = {alibi_slopes(config.heads), true, config.attention_scale};
  } else {
    read_rope(fields, config);
  }
  name_as_bloom(config.names);
  return config;
}

}  // namespace

const Family family::falcon = {"falcon", "FalconForCausalLM", read};

}  // namespace cmc::checkpoint
